#!/bin/sh
# Builds what prints KTAP, from Debian's package linux-source-6.1: KUnit with two of its suites as one module, because
# Debian's kernels lack CONFIG_KUNIT, and some of the kernel's self-tests with their runner.
#
# build-tests.sh SOURCE RELEASE FOLDER: SOURCE is the unpacked linux-source-6.1, RELEASE such as 6.1.0-56-cloud-amd64
set -eu
source=$1 release=$2 folder=$3
mkdir -p "$folder/kunit" "$folder/ks/clone3" "$folder/ks/pidfd" "$folder/ks/timers" "$folder/ks/size" "$folder/ks/kselftest"

cd "$folder/kunit"
for file in test assert try-catch string-stream resource kunit-example-test; do cp "$source/lib/kunit/$file.c" .; done
cp "$source"/lib/kunit/*.h "$source/lib/list-test.c" .
# Without CONFIG_KUNIT neither tasks nor modules know of tests; the suites are begun by this module itself.
sed -i 's/current->kunit_test = [^;]*;/;/; s/mod->kunit_suites, mod->num_kunit_suites/0, 0/
  s/^\(module_init\|late_initcall\)(kunit_init)/__maybe_unused static initcall_t unused = kunit_init/' test.c try-catch.c
for file in kunit-example-test list-test; do
  name=$(echo "$file" | tr - _)
  sed -i "s/^kunit_test_suites(\(.*\));/struct kunit_suite *${name}_suites[] = { \1 };/; /^MODULE_LICENSE/d" "$file.c"
done
cat >> test.c << 'C'
extern struct kunit_suite *kunit_example_test_suites[1], *list_test_suites[2];
static int __init run_suites(void)
{
	__kunit_test_suites_init(kunit_example_test_suites, ARRAY_SIZE(kunit_example_test_suites));
	__kunit_test_suites_init(list_test_suites, ARRAY_SIZE(list_test_suites));
	return 0;
}
module_init(run_suites);
C
echo 'obj-m := kunit.o
kunit-objs := test.o assert.o try-catch.o string-stream.o resource.o kunit-example-test.o list-test.o' > Makefile
make -s -C "/usr/src/linux-headers-$release" "M=$PWD" modules
strip --strip-debug kunit.ko

tests=$source/tools/testing/selftests
for test in clone3/clone3 clone3/clone3_clear_sighand clone3/clone3_set_tid pidfd/pidfd_open_test timers/nanosleep timers/posix_timers; do
  gcc -w -static -O2 -s -o "$folder/ks/$test" "$tests/$test.c" -lpthread
done
gcc -w -static -ffreestanding -nostartfiles -s -o "$folder/ks/size/get_size" "$tests/size/get_size.c"
cp "$tests/kselftest/runner.sh" "$folder/ks/kselftest/"
