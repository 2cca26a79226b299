cd /tmp; cat >t.js <<'J'
const fs = require('fs'), cp = require('child_process'), os = require('os'), net = require('net'), crypto = require('crypto'), zlib = require('zlib'), { Worker, isMainThread, parentPort } = require('worker_threads');
if (!isMainThread) { parentPort.postMessage([1,2,3].reduce((a, b) => a + b)); } else (async () => {
  console.log(process.platform, process.argv.length, cp.execSync('echo sync; exit 0').toString().trim());
  fs.mkdirSync('d/e', { recursive: true }); await fs.promises.writeFile('d/f', 'data'); console.log(fs.readFileSync('d/f', 'utf8'), fs.readdirSync('d'), fs.statSync('d/f').size);
  try { fs.readFileSync('/nothere'); } catch (e) { console.log(e.code, e.message); }
  await new Promise(r => { const w = new Worker('/tmp/t.js'); w.on('message', m => console.log('worker', m)); w.on('exit', r); });
  await new Promise(r => { const c = cp.spawn('tr', ['a-z', 'A-Z']); c.stdout.on('data', d => console.log('' + d)); c.on('close', (c, s) => { console.log(c, s); r(); }); c.stdin.end('spawned'); });
  await new Promise(r => { const c = cp.spawn('sleep', ['99']); c.on('close', (c, s) => { console.log(c, s); r(); }); setTimeout(() => c.kill(), 100); });
  await new Promise(r => { const s = net.createServer(c => { c.end('from server'); s.close(r); }).listen('/tmp/n.sock', () => net.connect('/tmp/n.sock').on('data', d => console.log('' + d))); });
  console.log(zlib.gunzipSync(zlib.gzipSync('zip')).toString(), crypto.createHash('sha1').update('x').digest('hex'), crypto.randomBytes(4).length);
  await new Promise(r => crypto.pbkdf2('a', 'b', 1000, 16, 'sha1', (e, k) => { console.log(k.toString('hex')); r(); }));
  await new Promise(r => { const w = fs.watch('/tmp/d', (ev, f) => { console.log('watch', f); w.close(); r(); }); setTimeout(() => fs.writeFileSync('/tmp/d/new', ''), 100); });
  process.on('SIGUSR2', () => { console.log('usr2'); process.exit(6); }); process.kill(process.pid, 'SIGUSR2'); setTimeout(() => {}, 60000);
})();
J
node t.js; echo $?; node -e 'throw new Error("x")' 2>&1 | grep -c Error; echo 'console.log(1+1)' | node -; seq 1000 | node -e 'let n=0; process.stdin.on("data", d => n += d.length).on("end", () => console.log(n))'
