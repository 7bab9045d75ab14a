/** How many of the numbers, which ascend, are at most `wanted`. */
export function countUpTo<T extends number | bigint>(ascending: ArrayLike<T>, wanted: T): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! <= wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
