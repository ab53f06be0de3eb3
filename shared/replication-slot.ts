/** The one slot of a stack's database. The agent makes it, and `pulumi up` drops it when point in time is switched off. */
export const SLOT = "budgie_point_in_time";
