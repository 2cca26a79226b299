mkdir -p -m 700 $HOME; cd /tmp
openssl genrsa -out k.pem 2048 2>/dev/null && openssl rsa -in k.pem -check -noout; openssl req -new -x509 -key k.pem -subj /CN=test -days 10 -out c.pem && openssl x509 -in c.pem -noout -subject && openssl verify -CAfile c.pem c.pem
echo secret | openssl enc -aes-256-cbc -pbkdf2 -pass pass:x | openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:x; openssl dgst -sha256 /etc/services; openssl dgst -sha256 -sign k.pem -out s /etc/services; openssl pkey -in k.pem -pubout -out p.pem; openssl dgst -sha256 -verify p.pem -signature s /etc/services
openssl rand -hex 16 | wc -c; openssl ecparam -name prime256v1 -genkey -noout | openssl ec -noout -text 2>/dev/null | grep ASN1; openssl prime 104729; openssl passwd -6 -salt abc x
for t in ed25519 rsa ecdsa; do ssh-keygen -q -t $t -N '' -C c -f id_$t && stat -c '%n %a' id_$t id_$t.pub && ssh-keygen -lf id_$t | awk '{print $1,$3,$4}'; done
ssh-keygen -Y sign -f id_ed25519 -n file c.pem 2>/dev/null; echo "a $(cat id_ed25519.pub)" >allow; ssh-keygen -Y verify -f allow -I a -n file -s c.pem.sig <c.pem | sed 's/SHA256.*//'
eval $(ssh-agent) >/dev/null; ssh-add -q id_ed25519; ssh-add -l | wc -l; ssh-agent -k >/dev/null; echo $?
