// As much of `chrome` as keeps things, in memory.

/** Puts a fresh one in place of what there was. Returns what tests may look at. */
export function fakeChrome() {
  const listeners = new Set();
  const area = (name) => {
    const kept = new Map();
    return {
      kept,
      get: async (key) => (kept.has(key) ? { [key]: structuredClone(kept.get(key)) } : {}),
      set: async (items) => {
        for (const [key, value] of Object.entries(items)) {
          const change = { oldValue: kept.get(key), newValue: structuredClone(value) };
          kept.set(key, structuredClone(value));
          for (const hear of listeners) hear({ [key]: change }, name);
        }
      },
      setAccessLevel: async () => undefined,
    };
  };
  const onChanged = { addListener: (hear) => listeners.add(hear), removeListener: (hear) => listeners.delete(hear) };
  globalThis.chrome = {
    storage: { local: area("local"), session: area("session"), onChanged },
    runtime: { getURL: (path) => `chrome-extension://id/${path}` },
  };
  return { listeners };
}
