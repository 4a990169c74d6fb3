/** The table of the rotation cell by cell, and the property that no two sides ever refuse each other. */
import assert from "node:assert/strict";
import type { Rng } from "@rhea/common";
import { describe as describeCertificate, isSignedBy, splitPem } from "./facts.js";
import {
  DEFAULT_CERTIFICATE_POLICY,
  createCa,
  issue,
  makeSecret,
  planCertificates,
  type CertificateInput,
  type CertificatePlan,
  type KeyPair,
  type SecretContent,
  type WantedLeaf,
} from "./index.js";

const DAY_MS = 86_400_000;
const NOW_MS = Date.UTC(2030, 0, 10);
const POLICY = DEFAULT_CERTIFICATE_POLICY;

function createRng(seed: number): Rng {
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 0x1_0000_0000;
  };
  return {
    int: (bound) => Math.floor(next() * bound),
    bytes: (length) => Buffer.from(Array.from({ length }, () => Math.floor(next() * 256))),
  };
}
const rng = createRng(1);

const leafNamed = (name: string, more: Partial<WantedLeaf> = {}): WantedLeaf => ({
  ...{ name, commonName: name, dnsNames: [`${name}.demo.svc`], ipAddresses: ["::1"], usages: "both" },
  ...more,
});

async function secretOf(wanted: WantedLeaf, ca: KeyPair, trusted: string[], writtenMs: number): Promise<SecretContent> {
  const { certPem, keyPem } = await issue({ ...wanted, ca, validMs: POLICY.leafValidMs, nowMs: writtenMs, rng });
  return {
    data: { "ca.crt": trusted.join(""), "tls.crt": certPem, "tls.key": keyPem },
    annotations: { "rheakv.io/written-at": new Date(writtenMs).toISOString() },
  };
}

describe("the plan of certificates", function () {
  this.timeout(20_000);
  let a: KeyPair;
  let b: KeyPair;
  let user: KeyPair;
  /** By CA: a leaf of it. */
  let byA: SecretContent;
  let byB: SecretContent;
  const wanted = leafNamed("demo-store-0-tls");

  before(async () => {
    const ca = (name: string) => createCa({ name, nowMs: NOW_MS - DAY_MS, validMs: POLICY.caValidMs, rng });
    [a, b, user] = [await ca("a"), await ca("b"), await ca("user")];
    byA = await secretOf(wanted, a, [a.certPem], NOW_MS - DAY_MS);
    byB = await secretOf(wanted, b, [b.certPem], NOW_MS - DAY_MS);
  });

  const trusting = (leaf: SecretContent, trusted: string[], writtenMs = NOW_MS - DAY_MS): SecretContent => ({
    data: { ...leaf.data, "ca.crt": trusted.join("") },
    annotations: { ...leaf.annotations, "rheakv.io/written-at": new Date(writtenMs).toISOString() },
  });
  const caSecret = (data: Record<string, string>, annotations: Record<string, string> = {}): SecretContent => ({
    data,
    annotations,
  });
  const plan = (
    ca: SecretContent | undefined,
    leaf: SecretContent | undefined,
    more: Partial<CertificateInput> = {},
  ): CertificatePlan =>
    planCertificates({
      ...{ nowMs: NOW_MS, caName: "demo-ca", ca, wanted: [wanted], policy: POLICY },
      leaves: new Map(leaf === undefined ? [] : [[wanted.name, leaf]]),
      ...more,
    });
  /** Short words for what a plan does. */
  const words = ({ actions }: CertificatePlan): string[] =>
    actions.map((each) =>
      each.kind === "write-ca" ? each.step : each.issue === undefined ? "rewrite" : `issue: ${each.reason}`,
    );
  const only = (result: CertificatePlan) => {
    assert.equal(result.actions.length, 1);
    return result.actions[0] ?? assert.fail();
  };
  const given = (pair: KeyPair | undefined, more: Record<string, string> = {}): Partial<CertificateInput> => ({
    given: {
      name: "corp-ca",
      content: pair === undefined ? undefined : caSecret({ "tls.crt": pair.certPem, "tls.key": pair.keyPem, ...more }),
    },
  });

  describe("absent", () => {
    it("makes a CA, then certificates", async () => {
      const first = plan(undefined, undefined);
      assert.deepEqual([first.phase, words(first)], ["absent", ["create"]]);
      const made = await makeSecret(only(first), { nowMs: NOW_MS, policy: POLICY, rng });
      assert.deepEqual(Object.keys(made.data).sort(), ["ca.crt", "ca.key"]);
      const second = plan(made, undefined);
      assert.deepEqual(words(second), ["issue: there is none"]);
      const leaf = await makeSecret(only(second), { nowMs: NOW_MS, policy: POLICY, rng });
      const facts = describeCertificate(leaf.data["tls.crt"] ?? "");
      assert.deepEqual(
        [facts.dnsNames, facts.ipAddresses, facts.usages, facts.notAfterMs],
        [["demo-store-0-tls.demo.svc"], ["::1"], "both", NOW_MS + POLICY.leafValidMs],
      );
      assert(isSignedBy(leaf.data["tls.crt"] ?? "", made.data["ca.crt"] ?? ""));
      const settled = plan(made, leaf);
      assert.deepEqual([settled.phase, words(settled), settled.blocked], ["steady", [], undefined]);
      assert.equal(settled.nextMs, NOW_MS + POLICY.leafValidMs - (POLICY.leafValidMs + 300_000) / 3);
      assert.equal(settled.leaves[0]?.expiresInMs, POLICY.leafValidMs);
      assert.equal(settled.ca?.expiresInMs, POLICY.caValidMs);
    });

    it("brings a new CA in beside one that was deleted while its certificates are in use", async () => {
      const result = plan(undefined, trusting(byA, [a.certPem, b.certPem]));
      assert.deepEqual(words(result), ["distribute"]);
      const made = await makeSecret(only(result), { nowMs: NOW_MS, policy: POLICY, rng });
      assert.equal(made.data["ca.crt"], a.certPem);
      assert.equal(made.data["old-ca.crt"], b.certPem);
      assert.equal(made.data["ca.key"], undefined);
      assert.deepEqual(words(plan(made, trusting(byA, [a.certPem, b.certPem]))), ["rewrite"]);
    });
  });

  describe("steady", () => {
    const steady = (annotations: Record<string, string> = {}) =>
      caSecret({ "ca.crt": a.certPem, "ca.key": a.keyPem }, annotations);

    it("does nothing, for a stale annotation neither", () => {
      assert.deepEqual(words(plan(steady(), byA)), []);
      assert.deepEqual(words(plan(steady({ "rheakv.io/rotated-ca": "1" }), byA, { rotateCa: "1" })), []);
    });
    it("brings a new CA in for each new value of the annotation", () => {
      const result = plan(steady({ "rheakv.io/rotated-ca": "1" }), byA, { rotateCa: "2" });
      assert.deepEqual(words(result), ["distribute"]);
      assert.equal(only(result).annotations["rheakv.io/rotated-ca"], "2");
    });
    it("brings a new CA in when a third of its life is left", () => {
      const dueMs = NOW_MS - DAY_MS + POLICY.caValidMs * (2 / 3);
      const late = (nowMs: number) => words(plan(steady(), byA, { nowMs, wanted: [] }));
      assert.deepEqual([late(dueMs - DAY_MS), late(dueMs + DAY_MS)], [[], ["distribute"]]);
    });
    it("brings a new CA in when the key is gone", () => {
      assert.deepEqual(words(plan(caSecret({ "ca.crt": a.certPem }), byA)), ["distribute"]);
    });
    it("issues what is missing, damaged, of a stranger, of other names or uses, old, or asked for", async () => {
      const of = (leaf: SecretContent | undefined, more: Partial<CertificateInput> = {}) =>
        words(plan(steady(), leaf, more)).join();
      const edit = (data: Record<string, string>): SecretContent => ({ ...byA, data: { ...byA.data, ...data } });
      assert.match(of(undefined), /issue: there is none/);
      assert.match(of(edit({ "tls.crt": "garbage" })), /issue: tls.crt cannot be read/);
      assert.match(of(edit({ "tls.key": byB.data["tls.key"] ?? "" })), /issue: tls.key does not belong/);
      assert.match(of(trusting(byB, [a.certPem])), /issue: it is of CN=b .*, not of CN=a/);
      assert.match(of(byA, { wanted: [leafNamed(wanted.name, { dnsNames: ["x"] })] }), /issue: its names/);
      assert.match(of(byA, { wanted: [leafNamed(wanted.name, { ipAddresses: [] })] }), /issue: its addresses are ::1/);
      assert.match(of(byA, { wanted: [leafNamed(wanted.name, { usages: "client" })] }), /issue: it is for both/);
      assert.match(of(byA, { nowMs: NOW_MS + 58 * DAY_MS }), /^$/);
      assert.match(of(byA, { nowMs: NOW_MS + 60 * DAY_MS }), /issue: it expires at 2030-04-09/);
      assert.match(of(byA, { rotateCertificates: "now" }), /issue: annotation .*rotate-certificates is "now"/);
      const action = only(plan(steady(), byA, { rotateCertificates: "now" }));
      const renewed = await makeSecret(action, { nowMs: NOW_MS, policy: POLICY, rng });
      assert.match(of(renewed, { rotateCertificates: "now" }), /^$/);
      assert.match(of(edit({ "ca.crt": a.certPem + b.certPem })), /^rewrite$/);
      assert.match(of({ ...byA, annotations: {} }), /^rewrite$/);
    });
    it("does not renew again and again what ends with its CA", async () => {
      const short = await createCa({ name: "short", nowMs: NOW_MS, validMs: 3 * DAY_MS, rng });
      const leaf = await secretOf(wanted, short, [short.certPem], NOW_MS);
      const more = { ...given(short), nowMs: NOW_MS + 2.9 * DAY_MS };
      assert.deepEqual(words(plan(caSecret({ "ca.crt": short.certPem }), leaf, more)), []);
    });
  });

  describe("distributing", () => {
    const both = () => [a.certPem, b.certPem];
    const state = (more: Record<string, string> = {}) =>
      caSecret({
        ...{ "ca.crt": a.certPem, "ca.key": a.keyPem, "next-ca.crt": b.certPem, "next-ca.key": b.keyPem },
        ...more,
      });

    it("first writes both CAs everywhere, keeping the certificates", () => {
      const result = plan(state(), byA);
      assert.deepEqual([result.phase, words(result)], ["distributing", ["rewrite"]]);
      assert.equal(only(result).data["tls.crt"], byA.data["tls.crt"]);
      assert.deepEqual(splitPem(only(result).data["ca.crt"] ?? ""), both());
    });
    it("then waits for kubelet, from the last write on", () => {
      const writtenMs = NOW_MS - POLICY.propagationMs + 30_000;
      const result = plan(state(), trusting(byA, both(), writtenMs));
      assert.deepEqual([words(result), result.nextMs], [[], NOW_MS + 30_000]);
    });
    it("then activates", () => {
      const result = plan(state(), trusting(byA, both(), NOW_MS - POLICY.propagationMs));
      assert.deepEqual(words(result), ["activate"]);
      assert.deepEqual(only(result).data, { "ca.crt": b.certPem, "ca.key": b.keyPem, "old-ca.crt": a.certPem });
    });
    it("does not wait when it is not known since when a Secret is so, but finds out", () => {
      const unknown = { ...trusting(byA, both()), annotations: {} };
      assert.deepEqual(words(plan(state(), unknown)), ["rewrite"]);
      const ahead = trusting(byA, both(), NOW_MS + DAY_MS);
      assert.deepEqual(words(plan(state(), ahead)), ["rewrite"], "a clock that went back");
    });
    it("issues by the old one what is missing meanwhile", () => {
      const other = leafNamed("demo-store-1-tls");
      const leaves = new Map([[other.name, trusting(byA, both(), NOW_MS - 1_000)]]);
      const twoWanted = { wanted: [wanted, { ...wanted, name: other.name }], leaves };
      const action = only(plan(state(), undefined, twoWanted));
      assert(action.kind === "write-leaf" && action.issue?.ca.certPem === a.certPem);
      assert.deepEqual(splitPem(action.data["ca.crt"] ?? ""), both());
    });
    it("activates at once when the old one has expired", async () => {
      const dead = await createCa({ name: "dead", nowMs: NOW_MS - 2 * DAY_MS, validMs: DAY_MS, rng });
      const secret = state({ "ca.crt": dead.certPem, "ca.key": dead.keyPem });
      assert.deepEqual(words(plan(secret, trusting(byA, [dead.certPem, b.certPem], NOW_MS))), ["activate"]);
    });
    it("exchanges the next one when another is given, or its key is lost", () => {
      const result = plan(state(), byA, given(user));
      assert.deepEqual(words(result), ["distribute"]);
      assert.equal(only(result).data["next-ca.crt"], user.certPem);
      assert.equal(only(result).data["next-ca.key"], undefined, "a user's key is never copied");
      assert.equal(only(result).data["ca.key"], a.keyPem);
      const { "next-ca.key": _key, ...data } = state().data;
      assert.deepEqual(words(plan(caSecret(data), byA)), ["distribute"]);
    });
    it("goes on without the old one's key", () => {
      const { "ca.key": _key, ...data } = state().data;
      assert.deepEqual(words(plan(caSecret(data), trusting(byA, both()))), ["activate"]);
      assert.deepEqual(words(plan(caSecret(data), undefined)), ["activate"]);
    });
  });

  describe("replacing", () => {
    const both = () => [b.certPem, a.certPem];
    const state = () => caSecret({ "ca.crt": b.certPem, "ca.key": b.keyPem, "old-ca.crt": a.certPem });

    it("issues everything by the new one, trusting both", () => {
      const result = plan(state(), trusting(byA, [a.certPem, b.certPem]));
      assert.deepEqual([result.phase, words(result).join()], ["replacing", words(result).join()]);
      assert.match(words(result).join(), /issue: it is of CN=a/);
      assert.deepEqual(splitPem(only(result).data["ca.crt"] ?? ""), both());
    });
    it("then keeps both for the overlap", () => {
      const result = plan(state(), trusting(byB, both(), NOW_MS - POLICY.overlapMs + 60_000));
      assert.deepEqual([words(result), result.nextMs], [[], NOW_MS + 60_000]);
    });
    it("then drops the old one, and after that everywhere", () => {
      const result = plan(state(), trusting(byB, both(), NOW_MS - POLICY.overlapMs));
      assert.deepEqual(words(result), ["drop"]);
      assert.deepEqual(only(result).data, { "ca.crt": b.certPem, "ca.key": b.keyPem });
      assert.deepEqual(words(plan(caSecret(only(result).data), trusting(byB, both()))), ["rewrite"]);
    });
    it("begins no other rotation before, but brings a given CA in beside the old ones", () => {
      assert.deepEqual(words(plan(state(), trusting(byB, both(), NOW_MS), { rotateCa: "3" })), []);
      const result = plan(state(), trusting(byB, both()), given(user));
      assert.deepEqual(words(result), ["distribute"]);
      const three = [b.certPem, user.certPem, a.certPem];
      const activated = only(plan(caSecret(only(result).data), trusting(byB, three), given(user)));
      assert.deepEqual(activated.data, { "ca.crt": user.certPem, "old-ca.crt": a.certPem + b.certPem });
    });
  });

  describe("damaged", () => {
    it("stops, with what does not fit and what to do", () => {
      const cases: [Record<string, string>, RegExp][] = [
        [{ "ca.crt": "garbage" }, /ca\.crt is no list/],
        [{ "ca.crt": a.certPem, "ca.key": b.keyPem }, /ca\.key does not belong to ca\.crt/],
        [{ "ca.key": a.keyPem }, /ca\.crt is missing/],
        [{ "ca.crt": a.certPem, "ca.key": a.keyPem, "old-ca.crt": a.certPem.slice(0, 99) }, /old-ca\.crt is no list/],
      ];
      for (const [data, pattern] of cases) {
        const result = plan(caSecret(data), byA);
        assert.deepEqual([result.phase, words(result)], ["damaged", []]);
        assert.match(result.blocked ?? "", pattern);
        assert.match(result.blocked ?? "", /restore it, or delete it/);
      }
    });
  });

  describe("a given CA", () => {
    it("issues without its key being copied", async () => {
      const first = only(plan(undefined, undefined, given(user)));
      assert.deepEqual(first.data, { "ca.crt": user.certPem });
      const second = only(plan(caSecret(first.data), undefined, given(user)));
      const leaf = await makeSecret(second, { nowMs: NOW_MS, policy: POLICY, rng });
      assert(isSignedBy(leaf.data["tls.crt"] ?? "", user.certPem));
      assert.deepEqual(words(plan(caSecret(first.data), leaf, given(user))), []);
    });
    it("replaces the operator's, and is replaced by it, with an overlap", () => {
      const own = caSecret({ "ca.crt": a.certPem, "ca.key": a.keyPem });
      assert.deepEqual(words(plan(own, byA, given(user))), ["distribute"]);
      assert.deepEqual(words(plan(caSecret({ "ca.crt": user.certPem }), byA)), ["distribute"]);
    });
    it("is refused with the reason, and what there is goes on", async () => {
      const expired = await createCa({ name: "x", nowMs: NOW_MS - 2 * DAY_MS, validMs: DAY_MS, rng });
      const leaf = await issue({ ...wanted, ca: user, validMs: DAY_MS, nowMs: NOW_MS, rng });
      const cases: [Partial<CertificateInput>, RegExp][] = [
        [given(undefined), /corp-ca cannot be the CA: it does not exist/],
        [given(expired), /expired at 2030-01-09/],
        [given(leaf), /is no CA: it needs basicConstraints/],
        [given(user, { "tls.key": a.keyPem }), /tls\.key does not belong/],
        [given(user, { "tls.key": "" }), /tls\.key is missing/],
      ];
      for (const [more, pattern] of cases) {
        const own = plan(caSecret({ "ca.crt": a.certPem, "ca.key": a.keyPem }), byA, more);
        assert.deepEqual(words(own), []);
        assert.match(own.blocked ?? "", pattern);
        assert.deepEqual(words(plan(undefined, undefined, more)), []);
      }
    });
  });

  it("never makes two sides refuse each other, whatever is killed, late or asked for", async function () {
    this.timeout(60_000);
    const seed = Number(process.env["SEED"] ?? 11);
    const choice = createRng(seed);
    const policy = {
      ...{ caValidMs: 40 * 3_600_000, leafValidMs: 8 * 3_600_000, renewBeforeRatio: 1 / 3 },
      ...{ overlapMs: 300_000, propagationMs: 120_000 },
    };
    let nowMs = NOW_MS;
    let ca: SecretContent | undefined;
    const leaves = new Map<string, SecretContent>();
    /** All versions of a Secret that some pod may still see, with the time from which on it does not. */
    const visible = new Map<string, { content: SecretContent; untilMs: number }[]>();
    const names = ["pd", "store-0", "client"];
    const input = { rotateCa: "0", rotateCertificates: "0", isGiven: false };
    const steps = new Map<string, number>();
    const accepts = (one: SecretContent, other: SecretContent): boolean => {
      const certificate = other.data["tls.crt"] ?? "";
      const facts = describeCertificate(certificate);
      if (facts.notBeforeMs > nowMs || facts.notAfterMs < nowMs) return false;
      return splitPem(one.data["ca.crt"] ?? "").some((authority) => isSignedBy(certificate, authority));
    };
    const checkAll = (): void => {
      const all = [...visible].flatMap(([name, versions]) => {
        const seen = versions.filter(({ untilMs }) => untilMs > nowMs);
        visible.set(name, seen);
        return seen.map(({ content }) => ({ name, content }));
      });
      for (const one of all) {
        for (const other of all) {
          assert(
            accepts(one.content, other.content),
            `SEED=${seed}: ${one.name} refuses ${other.name} at ${new Date(nowMs).toISOString()}`,
          );
        }
      }
    };
    for (let round = 0; round < 200; round++) {
      const event = choice.int(60);
      if (event === 0) input.rotateCa = String(round);
      else if (event === 1) input.rotateCertificates = String(round);
      else if (event === 2) input.isGiven = !input.isGiven;
      else if (event === 3 && names.length < 5) names.push(`store-${names.length}`);
      else if (event === 4 && ca !== undefined) ca = undefined; // somebody deletes it
      nowMs += event > 50 ? choice.int(1_800_000) : choice.int(90_000);
      const result = planCertificates({
        ...{ nowMs, caName: "demo-ca", ca, leaves, policy },
        wanted: names.map((name) => leafNamed(name)),
        ...(input.isGiven ? given(user) : {}),
        ...{ rotateCa: input.rotateCa, rotateCertificates: input.rotateCertificates },
      });
      assert.equal(result.blocked, undefined);
      for (const action of result.actions) {
        if (choice.int(4) === 0) break; // killed between two writes
        const made = await makeSecret(action, { nowMs, policy, rng: choice });
        const secret = { data: made.data, annotations: made.annotations };
        if (action.kind === "write-ca") {
          ca = secret;
          steps.set(action.step, (steps.get(action.step) ?? 0) + 1);
        } else {
          leaves.set(action.name, secret);
          const versions = visible.get(action.name) ?? [];
          const last = versions.at(-1);
          if (last !== undefined) last.untilMs = nowMs + policy.propagationMs - 1;
          visible.set(action.name, [...versions, { content: secret, untilMs: Infinity }]);
        }
        checkAll();
      }
      checkAll();
    }
    for (const step of ["create", "distribute", "activate", "drop"]) {
      assert((steps.get(step) ?? 0) > 0, `SEED=${seed}: no ${step} happened`);
    }
  });
});
