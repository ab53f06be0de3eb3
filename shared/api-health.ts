import { httpStatus } from "./http-status.ts";

/** Why the API at this address does not serve; null when it does. */
export async function apiProblem(url: string): Promise<string | null> {
  const health = `${url}/health`;
  try {
    const status = await httpStatus(health);
    return status === 200 ? null : `${health} answers ${status}`;
  } catch (error) {
    return `${health} does not answer: ${(error as Error).message}`;
  }
}
