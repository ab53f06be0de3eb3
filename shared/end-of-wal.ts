/**
 * SQL: up to where everything is that a server has written into its WAL, flushed or not. A standby that has replayed up to there has it
 * all. What is inserted next after a full page goes behind that page's header, which no standby ever reports (24 bytes, 40 at the
 * beginning of a segment).
 */
export const END_OF_WAL = `(SELECT CASE WHEN in_page IN (24, 40) THEN lsn - in_page ELSE lsn END
   FROM pg_current_wal_insert_lsn() AS lsn, mod(lsn - '0/0'::pg_lsn, 8192) AS in_page)`;
