import ssh2 from "ssh2";

/** Whether the text is a private key that opens without a passphrase: nobody is there to type one. */
export function isPlainPrivateKey(text: string): boolean {
  return parsedKey(text)?.isPrivateKey() ?? false;
}

/** Whether the text is a public key as `ssh-keyscan` prints it behind the host's name. */
export function isPublicKey(text: string): boolean {
  return /^\S+ \S+( .*)?$/.test(text) && parsedKey(text)?.isPrivateKey() === false;
}

function parsedKey(text: string): ssh2.ParsedKey | undefined {
  const parsed = ssh2.utils.parseKey(text);
  return parsed instanceof Error ? undefined : parsed;
}
