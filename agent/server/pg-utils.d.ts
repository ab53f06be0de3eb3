declare module "pg/lib/utils.js" {
  const utils: {
    /** How a value is written for the server. */
    prepareValue(value: unknown): string | null;
  };
  export default utils;
}
