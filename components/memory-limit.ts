/** How much memory a container may have. */
export interface MemoryLimit {
  /** In MB. */
  memory: number;
  /** With what may be swapped out, in MB. */
  memorySwap: number;
}

/**
 * Nothing of it is swapped out: whoever needs more is ended and started again, and no other program of the machine waits
 * for its disk. The page cache counts too, but gives way.
 */
export function memoryLimit(megabytes: number): MemoryLimit {
  return { memory: megabytes, memorySwap: megabytes };
}
