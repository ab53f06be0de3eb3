import { describe, expect, it } from "vitest";
import { spelling } from "../../../engine/differences.ts";

describe("what differs between engines", () => {
  it("is an image's full name on Podman", () => {
    const { image } = spelling("podman");
    expect(image("node:24-alpine")).toBe("docker.io/library/node:24-alpine");
    expect(image("budgie/backend:1")).toBe("docker.io/budgie/backend:1");
    expect(image("registry.example.com:5000/budgie")).toBe("registry.example.com:5000/budgie");
    expect(image("localhost/budgie")).toBe("localhost/budgie");
    expect(spelling("docker").image("node:24-alpine")).toBe("node:24-alpine");
  });
});
