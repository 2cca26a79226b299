cd /tmp; mkdir -p repo p/DEBIAN p/usr/bin q/DEBIAN; printf '#!/bin/sh\necho from package\n' >p/usr/bin/e2ehello; chmod +x p/usr/bin/e2ehello
printf 'Package: e2ehello\nVersion: 1.0\nArchitecture: all\nMaintainer: a <a@b>\nDescription: test\n' >p/DEBIAN/control; printf '#!/bin/sh\necho "postinst $1"\n' >p/DEBIAN/postinst; chmod 755 p/DEBIAN/postinst
printf 'Package: e2edep\nVersion: 2.0\nArchitecture: all\nDepends: e2ehello (>= 1.0)\nMaintainer: a <a@b>\nDescription: test\n' >q/DEBIAN/control
dpkg-deb --root-owner-group -b p repo/e2ehello_1.0_all.deb; dpkg-deb -b --root-owner-group q repo/e2edep_2.0_all.deb; dpkg-deb -I repo/e2ehello_1.0_all.deb | grep Package; dpkg-deb -c repo/e2ehello_1.0_all.deb | awk '{print $1,$2,$6}'
dpkg -i repo/e2ehello_1.0_all.deb 2>&1 | grep -v Reading; e2ehello; dpkg -L e2ehello; dpkg -s e2ehello | grep Status; dpkg -S /usr/bin/e2ehello; dpkg -r e2ehello | grep -v Reading; e2ehello 2>/dev/null; echo $?
cd repo; apt-ftparchive packages . >Packages; mkdir -p /tmp/apt/lists/partial; echo 'deb [trusted=yes] file:/tmp/repo ./' >/tmp/apt/sources.list
o="-q -o Dir::Etc::SourceList=/tmp/apt/sources.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists=/tmp/apt/lists -o APT::Sandbox::User=root"
apt-get $o update >/tmp/o 2>&1; echo "update $?"; [ -s /tmp/apt/lists/*Packages ] || cat /tmp/o; apt-cache $o policy e2edep | head -3; DEBIAN_FRONTEND=noninteractive apt-get $o install -y e2edep >/tmp/o 2>&1; echo "install $?"; grep -E 'Setting|postinst' /tmp/o; e2ehello; dpkg -l e2edep | tail -1 | awk '{print $1,$2,$3}'
apt-get $o remove -y e2ehello >/dev/null 2>&1; echo "remove $?"; dpkg -l e2edep 2>/dev/null | tail -1 | awk '{print $1}'
