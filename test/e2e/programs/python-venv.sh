cd /tmp; python3 -m venv v && . v/bin/activate && python -c 'import sys; print(sys.prefix, sys.base_prefix)' && pip --version | cut -d' ' -f1
mkdir -p p/hello && cat >p/setup.py <<'P'
from setuptools import setup
setup(name="hello", version="1.0", packages=["hello"], entry_points={"console_scripts": ["hello=hello:main"]})
P
echo 'def main(): print("hello from a package")' >p/hello/__init__.py
pip install -q --no-index --no-build-isolation ./p; echo "pip $?"; hello; pip list --format=freeze | grep hello; pip uninstall -qy hello; hello 2>/dev/null; echo $?
python -m compileall -q p; python -m zipfile -c z.zip p/setup.py; python -m zipfile -l z.zip | awk '{print $1}'; python -m json.tool <<<'{"a":[1,2]}'
python -m unittest -v test.test_bisect 2>&1 | tail -1; python -m timeit -n1 -r1 pass | wc -l
