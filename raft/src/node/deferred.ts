import type { RheaError } from "@rhea/common";

/** A promise with its ends in hand. */
export interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: RheaError): void;
}

/** Makes a promise whose rejection nobody has to wait for; callers that do get it all the same. */
export function deferred(): Deferred {
  let resolve: () => void = () => undefined;
  let reject: (error: RheaError) => void = () => undefined;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
