const PRODUCTION = /(^|[^a-z0-9])prod(uction)?($|[^a-z0-9])/i;

/** Whether a stack is one of production by its name: `prod`, `production`, `prod-eu`, `acme.production`; not `reproduction`. */
export function isProductionName(stack: string): boolean {
  return PRODUCTION.test(stack);
}
