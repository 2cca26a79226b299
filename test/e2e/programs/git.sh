export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000' GIT_CONFIG_NOSYSTEM=1
mkdir -p $HOME; git config --global init.defaultBranch main; git config --global advice.detachedHead false
cd /tmp; git init r; cd r; cp -r /usr/include/linux/. .; git add -A; git commit -qm one; git log --format='%H %s'
sed -i 's/define/DEFINE/' a*.h; git diff --stat | tail -1; git commit -qam two; git checkout -qb side HEAD~; echo x >new; git add new; git commit -qm three; git checkout -q main; git merge -q side -m merge; git log --graph --format=%s
git tag -a v1 -m v1; git status --short; git gc -q; git fsck 2>&1 | tail -1; git count-objects -v | grep -v size
cd ..; git clone -q r c; cd c; git log --oneline | wc -l; git ls-files | wc -l; echo y >>new; git commit -qam four; git push -q origin HEAD:refs/heads/pushed; git -C ../r rev-parse pushed
git clone -q file:///tmp/r ../d; git -C ../d rev-list --all --count; git clone -q --bare --depth 1 file:///tmp/r ../e.git; git stash list; echo z >new; git stash -q; git stash pop -q; git diff; git grep -c DEFINE -- a*.h | head -3
git rebase -q HEAD~1; git reset -q --hard; git worktree add -q ../wt; git -C ../wt status -s; git bundle create -q ../b HEAD; git bundle verify -q ../b; git archive HEAD | tar -t | wc -l; git blame -s new; git bisect start -q HEAD HEAD~2 >/dev/null; git bisect run true >/dev/null 2>&1; echo $?
