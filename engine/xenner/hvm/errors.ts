/** Results of hypercalls that failed: xen/include/public/errno.h. */
export const ERRNO = {
  PERM: -1,
  NOENT: -2,
  SRCH: -3,
  NOMEM: -12,
  FAULT: -14,
  BUSY: -16,
  EXIST: -17,
  INVAL: -22,
  NOSPC: -28,
  NOSYS: -38,
  NODATA: -61,
  ETIME: -62,
  OPNOTSUPP: -95,
} as const;
