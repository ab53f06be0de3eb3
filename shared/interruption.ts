/** The signals that tell a command to end. */
export const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Marks a command in the agent's container, so that the one that started it can have it ended. */
export const OPERATION_VARIABLE = "BUDGIE_OPERATION";
