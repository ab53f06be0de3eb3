import type pg from "pg";

/** What is left on the disk of the server's data; null where it does not say. */
export async function serverFreeBytes(session: pg.Client): Promise<number | null> {
  try {
    await session.query("CREATE TEMP TABLE budgie_df (line text)");
    await session.query(`COPY budgie_df FROM PROGRAM 'df -Pk . | tail -n 1 | tr -s " " | cut -d " " -f 4'`);
    const { rows } = await session.query<{ line: string }>("SELECT line FROM budgie_df");
    const kilobytes = Number(rows[0]?.line);
    return Number.isFinite(kilobytes) ? kilobytes * 1024 : null;
  } catch {
    return null;
  } finally {
    await session.query("DROP TABLE IF EXISTS budgie_df");
  }
}
