mkdir -p $HOME /tmp/lib /tmp/app; cd /tmp/lib; export npm_config_update_notifier=false npm_config_audit=false npm_config_fund=false npm_config_offline=true
echo '{"name":"lib","version":"1.2.3","main":"i.js","bin":{"libcmd":"c.js"},"scripts":{"postinstall":"echo post > post.txt"}}' >package.json; echo 'module.exports = () => "from lib"' >i.js; printf '#!/usr/bin/env node\nconsole.log("cmd", require("./i.js")())\n' >c.js; chmod +x c.js
npm pack --silent; cd ../app; echo '{"name":"app","version":"1.0.0","scripts":{"start":"libcmd && node -p \"require(\\\"lib\\\")()\"","test":"exit 3"}}' >package.json
npm install --silent ../lib/lib-1.2.3.tgz; echo $?; npm start --silent; npm test --silent; echo $?; npm ls --parseable; cat node_modules/lib/post.txt; ls node_modules/.bin
