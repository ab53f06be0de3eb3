/** After a program that read the live database, and said why it failed. */
export const SEE_THE_SERVER =
  "Run the same command again. If it fails again, see what the server wrote: npx budgie logs db";

/** After a program that works in the agent's container alone. */
export const TRY_AGAIN =
  "Run the same command again. If it fails again, see that the disk has room and the container memory (docs/containers.md): npx budgie logs backup";
