/** What is tried first by whoever guesses. Compared without digits, signs and case. */
const WELL_KNOWN = new Set(
  "admin,administrator,budgie,budgieuser,budgiedev,budgieproduction,changeme,changethis,default,example,letmein,passwd,password,passwort,postgres,postgresql,qwerty,qwertz,secret,sessionsecret,supersecret,test,yourpassword,yoursecret".split(
    ",",
  ),
);
const DIFFERENT_CHARACTERS = 5;
/** Dates and telephone numbers are shorter. */
const LENGTH_WITHOUT_LETTERS = 16;

/** How long a key of sessions must be at least. */
export const SESSION_SECRET_LENGTH = 32;

/** Characters that are safe in a passfile, at a prompt and in an environment variable, and that SASLprep leaves alone. */
export function secretPattern(length: number): RegExp {
  return new RegExp(`^[\\x21-\\x7e]{${length},200}$`);
}

/** Whether a secret protects nothing. */
export function isEasilyGuessed(secret: string): boolean {
  const letters = secret.toLowerCase().replace(/[^a-z]/g, "");
  if (letters === "" && secret.length < LENGTH_WITHOUT_LETTERS) return true;
  return new Set(secret).size < DIFFERENT_CHARACTERS || WELL_KNOWN.has(letters);
}
