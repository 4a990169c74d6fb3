import assert from "node:assert/strict";
import { createVirtualEnv } from "../testing/virtual-env.js";
import { createPages } from "./pages.js";

describe("status pages of a store that starts", () => {
  it("say that it lives, that it is not ready, and what it is at", async () => {
    let phase = "opens its data";
    const pages = createPages(
      () => undefined,
      createVirtualEnv(),
      () => phase,
    );
    const page = (path: string) => pages[path]?.(new URLSearchParams());
    assert.equal((await page("/livez"))?.status, 200);
    assert.deepEqual(await page("/readyz"), { status: 503, body: "starting: opens its data\n" });
    phase = "recovers its log, segment 2 of 7";
    assert.match((await page("/readyz"))?.body ?? "", /segment 2 of 7/);
    assert.equal((await page("/metrics"))?.status, 503);
  });
});
