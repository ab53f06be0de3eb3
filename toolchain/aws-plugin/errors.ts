interface Refusal {
  name?: string;
  /** Where the SDK's own name for an error is another one. */
  Code?: string;
  message?: string;
  $metadata?: { httpStatusCode?: number };
}

/** The server's code for what went wrong, as `NoSuchBucket`; for an answer without one, as to HEAD, its HTTP status. */
export function codeOf(error: unknown): string {
  const { name = "", Code, $metadata } = error as Refusal;
  const code = Code ?? name;
  const hasCode = code !== "" && !/^(Unknown|UnknownError|NotFound|\d+)$/.test(code);
  return hasCode || !$metadata?.httpStatusCode ? code : `HTTP ${$metadata.httpStatusCode}`;
}

/** Undefined for an answer that says by one of these codes that there is nothing; other failures are thrown on. */
export async function unless<T>(codes: string[], asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (codes.includes(codeOf(error))) return undefined;
    throw error;
  }
}

/** Runs a call to a server, and says in its failure what was being done. Credentials are in none of the SDK's messages. */
export async function saying<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const { message = "", $metadata } = error as Refusal;
    const told = message && !/^Unknown(Error)?$/.test(message) ? `: ${message}` : "";
    if (!$metadata?.httpStatusCode) throw new Error(`${what}${told || `: ${codeOf(error)}`}`);
    throw new Error(`${what}: ${codeOf(error)} (HTTP ${$metadata.httpStatusCode})${told}`);
  }
}
