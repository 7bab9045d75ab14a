# What the shells run: BB is busybox, T a folder to write to. It works in both.
sum() { "$BB" sha256sum | "$BB" cut -c1-16; }
"$BB" seq 1 3000 | "$BB" awk '{ s += 1 / ($1 * $1 + 0.5); p = p ($1 % 7) } END { printf "%.17g %.6e %s\n", s, s * s * s, substr(p, 1, 40) }'
"$BB" seq 1 2000 | "$BB" sort -r | "$BB" sed -E 's/([0-9])([0-9])/\2\1/g; s/^1/one/' | "$BB" uniq -c | sum
"$BB" seq 1 20000 > "$T/userspace.txt"
for hash in md5sum sha1sum sha256sum sha512sum sha3sum; do "$BB" $hash < "$T/userspace.txt"; done
"$BB" gzip -c "$T/userspace.txt" | "$BB" gunzip -c | sum
"$BB" bzip2 -c "$T/userspace.txt" | "$BB" bunzip2 -c | sum
"$BB" grep -E '^(1[0-9]*7|.*55.*)$' "$T/userspace.txt" | sum
echo '2 100 ^ p 3 k 22 7 / p 10 v p' | "$BB" dc
echo 'scale=30; 4*a(1); e(1); 2^200' | "$BB" bc -l
"$BB" hexdump -C "$T/userspace.txt" | "$BB" tail -n 3
"$BB" printf '%s %05d %x %.10f\n' text 42 3735928559 2.718281828459
"$BB" rm "$T/userspace.txt"
i=0 sum=0
while [ $i -lt 2000 ]; do
  sum=$(((sum * 31 + i) % 1000003))
  i=$((i + 1))
done
echo "loop $sum"
case "$sum" in *[13579]) echo odd ;; *) echo even ;; esac
if [ -n "$BASH_VERSION" ]; then
  # In one word, so that the other shell does not have to understand it.
  eval 'declare -A count
  text="the quick brown fox jumps over the lazy dog and the fox jumps again"
  for word in $text; do count[$word]=$((${count[$word]:-0} + 1)); done
  for word in the fox jumps dog; do echo "$word ${count[$word]}"; done
  [[ "2026-11-23T01:58" =~ ^([0-9]+)-([0-9]+)-([0-9]+)T(.*)$ ]] && echo "${BASH_REMATCH[@]:1}"
  a=({1..300}); for ((i = 0; i < 300; i++)); do ((a[i] = a[i] * a[i] % 97)); done; echo "${a[@]:100:20}"
  printf "%q %.17g %e %a\n" "a b" 0.1 12345.678 0.3
  echo "${text//[aeiou]/_} ${text^^}"'
fi
