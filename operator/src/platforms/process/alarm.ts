/** A wait that can be ended early. */
export interface Alarm {
  /** Ends the wait of now, or else the next one at once. */
  ring(): void;
  wait(timeoutMs: number): Promise<void>;
}

/** Makes an alarm. */
export function createAlarm(): Alarm {
  let wake: (() => void) | undefined;
  let isRung = false;
  return {
    ring: () => {
      isRung = true;
      wake?.();
    },
    wait: (timeoutMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => wake?.(), timeoutMs);
        wake = () => {
          clearTimeout(timer);
          wake = undefined;
          isRung = false;
          resolve();
        };
        if (isRung) wake();
      }),
  };
}
