/**
 * The shapes that more than one part of the extension knows. Types alone: nothing here exists when the extension runs.
 *
 * Times named `...At` are ms since the epoch, sizes are px, bytes are bytes.
 */

/**
 * @typedef {"canvas" | "openai" | "automatic1111" | "comfyui" | "page"} ProviderKind
 */

/**
 * One generator as the user has set it up in the options page. It never comes from a job.
 *
 * @typedef {object} ProviderEntry
 * @property {string} id  made once, when the entry is
 * @property {ProviderKind} kind
 * @property {string} name  the user's own words
 * @property {boolean} enabled
 * @property {string[]} models  the models it is used for; `*` for every one that no other entry names
 * @property {Record<string, unknown>} settings  what its kind asks for: addresses, keys, recipes
 */

/**
 * When work is taken, in local time. `from` later than `to` goes over midnight.
 *
 * @typedef {object} WorkingHours
 * @property {boolean} enabled
 * @property {number[]} days  0 Sunday to 6 Saturday
 * @property {string} from  HH:MM
 * @property {string} to  HH:MM
 */

/**
 * Everything the user decides; kept in `chrome.storage.local` under `settings`.
 *
 * @typedef {object} Settings
 * @property {string} server  http(s) base address, without a slash at its end; empty until it is set
 * @property {string} token  what the operator made for this extension; empty where none is needed
 * @property {string} extensionId  the name the server knows this browser by
 * @property {number} concurrency  jobs at once, 1 to 8
 * @property {boolean} paused
 * @property {WorkingHours} hours
 * @property {ProviderEntry[]} providers
 */

/**
 * Where the bytes of a job's pictures go, as `generate_image` says it.
 *
 * @typedef {object} UploadGrant
 * @property {string} url
 * @property {string} method
 * @property {Record<string, string>} headers
 * @property {number} [maxBytes]
 * @property {string} [expiresAt]
 */

/**
 * One request as `generate_image` brought it, checked.
 *
 * @typedef {object} Job
 * @property {string} requestId
 * @property {string} prompt
 * @property {string} model
 * @property {Record<string, unknown>} parameters
 * @property {string} [correlationId]
 * @property {string} [lease]
 * @property {UploadGrant} [upload]
 */

/**
 * What a provider is asked for: one picture. `width` and `height` are there already, whatever the job said.
 *
 * @typedef {object} Order
 * @property {string} requestId
 * @property {string} prompt
 * @property {string} model
 * @property {number} width
 * @property {number} height
 * @property {number} position  0 for the first picture of the job
 * @property {Record<string, unknown>} parameters  the job's own, unchecked
 */

/**
 * How a provider works with its surroundings.
 *
 * @typedef {object} Help
 * @property {AbortSignal} signal  aborted when the work is no longer wanted; then `generate` rejects with its reason
 * @property {(percent: number, words?: string) => void} progress  0 to 100 of this picture; may be called at any rate
 * @property {Record<string, any>} settings  the entry's own
 */

/**
 * One kind of generator. `generate` rejects with a Failure (worker/failures.js) where nothing comes of it.
 *
 * @typedef {object} Provider
 * @property {ProviderKind} kind
 * @property {string} title  as the options page names it
 * @property {string} about  one sentence
 * @property {Field[]} fields  what its settings are, for the options page
 * @property {(settings: Record<string, any>) => string[]} origins  match patterns of the hosts it needs to reach
 * @property {(settings: Record<string, any>) => string[]} [permissions]  optional permissions it needs besides, as the
 *   manifest names them
 * @property {(settings: Record<string, any>) => Record<string, string>} [problems]  what is wrong with them beyond what
 *   the fields say of themselves: a sentence by the name of the field
 * @property {(settings: Record<string, any>, signal: AbortSignal) => Promise<string>} check  says in a sentence that it can be used; rejects with a Failure
 * @property {(order: Order, help: Help) => Promise<Blob>} generate
 */

/**
 * One setting of a provider, from which the options page makes its form.
 *
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {"text" | "url" | "secret" | "number" | "boolean" | "json" | "choice"} type
 * @property {string} [help]
 * @property {unknown} [initial]
 * @property {boolean} [required]
 * @property {string[]} [choices]
 * @property {(server: string) => unknown} [demonstration]  a value to try it out with, at the address of our server
 * @property {number} [min]
 * @property {number} [max]
 */

/**
 * A job as the popup shows it.
 *
 * @typedef {object} ShownJob
 * @property {string} requestId
 * @property {string} model
 * @property {string} prompt  its first 120 characters
 * @property {number} progress
 * @property {string} words  what the provider said last
 * @property {"working" | "sending"} stage
 * @property {number} startedAt
 */

/**
 * What the extension is doing; kept in `chrome.storage.session` under `status`, so pages hear of each change.
 *
 * `unset`: no server is set. `connecting`, `connected`. `waiting`: the server cannot be reached; tried again at
 * `retryAt`.
 * `refused`: the server does not let this extension in, or another browser goes by its name.
 *
 * @typedef {object} Status
 * @property {"unset" | "connecting" | "connected" | "waiting" | "refused"} state
 * @property {string} why  a sentence for the user where it is not connected
 * @property {number} since
 * @property {number} [retryAt]
 * @property {boolean} taking  whether it takes new work
 * @property {"" | "paused" | "hours" | "providers"} notTaking  why it does not
 * @property {ShownJob[]} jobs
 * @property {number} unsent  results that wait to be delivered or confirmed
 * @property {{date: string, done: number, failed: number}} today  local date as YYYY-MM-DD
 * @property {{model: string, reason: string, at: number}} [failure]  the last job that nothing came of, in a sentence;
 *   gone with the next that is done
 * @property {{providerId: string, progress: number, words: string}} [trial]  the test picture that is being made
 */

/**
 * What pages ask of the worker, by `chrome.runtime.sendMessage`; each is answered with `{ok: true, ...}` or
 * `{ok: false, error}`.
 *
 * @typedef {{ask: "connect"}
 *   | {ask: "pause", paused: boolean}
 *   | {ask: "test", providerId: string, prompt: string}
 *   | {ask: "check", providerId: string}} Ask
 */

/**
 * How an Ask is answered. `words` is a sentence for the user; `picture` a data: URL, for sendMessage carries JSON
 * alone.
 *
 * @typedef {{ok: true, words?: string, picture?: string} | {ok: false, error: string}} Answer
 */

export {};
