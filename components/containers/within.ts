import type * as pulumi from "@pulumi/pulumi";

/** What a stack's resources are part of, and so what they are called. */
export interface Within {
  /** A resource's name in Pulumi's state. Renaming one is a breaking change. */
  name(of: string): string;
  parent?: pulumi.Resource;
}

/** The stack is all of the program. */
export const WHOLE_PROGRAM: Within = { name: of => of };

/** The stack is a part of somebody's program, which may have several. */
export function within(parent: pulumi.Resource, name: string): Within {
  return { name: of => `${name}-${of}`, parent };
}

/** What every resource on top of the stack is declared with. */
export function underneath({ parent }: Within): { parent?: pulumi.Resource } {
  return parent ? { parent } : {};
}
