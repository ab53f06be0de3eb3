interface Refusal {
  name?: string;
  /** Where the SDK's own name for an error is another one. */
  Code?: string;
  /** The operating system's, as `ECONNREFUSED`. */
  code?: string;
  message?: string;
  $metadata?: { httpStatusCode?: number };
}

/** The server's code for what went wrong, as `NoSuchBucket`; for an answer without one, as to HEAD, its HTTP status. */
export function codeOf(error: unknown): string {
  const { name = "", Code, code, $metadata } = error as Refusal;
  const status = $metadata?.httpStatusCode;
  if (!status) return code ?? name;
  const told = Code ?? name;
  return told === "" || /^(Unknown|UnknownError|NotFound|\d+)$/.test(told) ? `HTTP ${status}` : told;
}

/** Undefined for an answer with one of these codes, which say that there is nothing. Other failures are thrown on. */
export async function unless<T>(codes: string[], asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (codes.includes(codeOf(error))) return undefined;
    throw error;
  }
}

/** Runs a call to a server. A failure says what was being done. None of the SDK's messages holds credentials. */
export async function saying<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const { message = "", $metadata } = error as Refusal;
    const [code, status] = [codeOf(error), $metadata?.httpStatusCode];
    const told = /^(Unknown(Error)?)?$/.test(message) ? "" : `: ${message}`;
    if (!status) throw new Error(`${what}${told || `: ${code}`}`);
    throw new Error(`${what}: ${code}${code === `HTTP ${status}` ? "" : ` (HTTP ${status})`}${told}`);
  }
}
