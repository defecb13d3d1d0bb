// An in-memory fake of `chrome.storage`.

/** Install a new fake. Returns its change listeners. */
export function fakeChrome() {
  const listeners = new Set();
  const area = (name) => {
    const stored = new Map();
    return {
      stored,
      get: async (key) => (stored.has(key) ? { [key]: structuredClone(stored.get(key)) } : {}),
      set: async (items) => {
        for (const [key, value] of Object.entries(items)) {
          const change = { oldValue: stored.get(key), newValue: structuredClone(value) };
          stored.set(key, structuredClone(value));
          for (const listener of listeners) listener({ [key]: change }, name);
        }
      },
      setAccessLevel: async () => undefined,
    };
  };
  const onChanged = {
    addListener: (listener) => listeners.add(listener),
    removeListener: (listener) => listeners.delete(listener),
  };
  globalThis.chrome = {
    storage: { local: area("local"), session: area("session"), onChanged },
    runtime: { getURL: (path) => `chrome-extension://id/${path}` },
  };
  return { listeners };
}
