/** Never filled: the database may live on the same disk, and PostgreSQL stops when its WAL cannot grow. */
export const RESERVED_BYTES = 64 * 1024 * 1024;
