// Asks the agent, again and again.

const PAUSE_MS = 2_000;
/** A large answer costs the agent more: it is asked at most a twentieth of the time. */
const REST_FACTOR = 20;
const TIMEOUT_MS = 8_000;
const LONGEST_BACK_OFF_MS = 30_000;

/** 1, 2, 4 … 30 seconds. */
export function backOffMs(failures) {
  return Math.min(1_000 * 2 ** (failures - 1), LONGEST_BACK_OFF_MS);
}

/**
 * Calls `onStatus(status)` after each answer, and `onFailure({ reason, failures,
 * retryAtMs })` while there is none. @returns a function that asks at once.
 */
export function followStatus(onStatus, onFailure) {
  let wake = () => {};
  (async () => {
    for (let failures = 0;;) {
      await untilShown();
      const beganMs = performance.now();
      let pauseMs;
      try {
        const status = await ask();
        try {
          onStatus(status);
        } catch (error) {
          throw new Error(`its answer cannot be shown: ${error.message}`);
        }
        failures = 0;
        const tookMs = performance.now() - beganMs;
        pauseMs = Math.max(PAUSE_MS, tookMs * REST_FACTOR);
      } catch (error) {
        failures += 1;
        pauseMs = backOffMs(failures);
        const retryAtMs = performance.now() + pauseMs;
        onFailure({ reason: error.message, failures, retryAtMs });
      }
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, pauseMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  })();
  return () => wake();
}

/** A hidden page does not ask. */
function untilShown() {
  return new Promise((resolve) => {
    if (!document.hidden) return resolve();
    document.addEventListener("visibilitychange", function look() {
      if (document.hidden) return;
      document.removeEventListener("visibilitychange", look);
      resolve();
    });
  });
}

/** One status. Throws an error whose text says why there is none. */
export async function ask(get = fetch) {
  let response;
  try {
    response = await get("/status", {
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new Error(
      error.name === "TimeoutError"
        ? `no answer within ${TIMEOUT_MS / 1_000} seconds`
        : "no connection",
    );
  }
  if (!response.ok) throw new Error(`it answers with HTTP ${response.status}`);
  const status = await response.json().catch(() => undefined);
  if (status?.schema !== 1) throw new Error("its answer is not a status");
  return status;
}
