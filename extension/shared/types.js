/**
 * Types that more than one part of the extension uses. This file has no code.
 *
 * Names ending in `At` are times in ms since the epoch. Picture sizes are in px, data sizes in bytes.
 */

/**
 * @typedef {"canvas" | "openai" | "automatic1111" | "comfyui" | "page"} ProviderKind
 */

/**
 * One generator as the user configured it on the options page. A job can never change it.
 *
 * @typedef {object} ProviderEntry
 * @property {string} id  random; assigned when the entry is created
 * @property {ProviderKind} kind
 * @property {string} name  chosen by the user
 * @property {boolean} enabled
 * @property {string[]} models  the models it generates; `*` for every model that no other entry lists
 * @property {Record<string, unknown>} settings  depends on the kind: addresses, keys, recipes
 */

/**
 * When the extension accepts work, in local time. If `from` is later than `to`, the hours continue past midnight.
 *
 * @typedef {object} WorkingHours
 * @property {boolean} enabled
 * @property {number[]} days  0 (Sunday) to 6 (Saturday)
 * @property {string} from  HH:MM
 * @property {string} to  HH:MM
 */

/**
 * The user's settings; stored in `chrome.storage.local` under `settings`.
 *
 * @typedef {object} Settings
 * @property {string} server  http(s) base address without a trailing slash; empty until it is set
 * @property {string} token  the extension token; empty if the server needs none
 * @property {string} extensionId  the name that identifies this browser to the server
 * @property {number} concurrency  maximum number of jobs at once, 1 to 8
 * @property {boolean} paused
 * @property {WorkingHours} hours
 * @property {ProviderEntry[]} providers
 */

/**
 * Where to upload a job's pictures, from `generate_image`.
 *
 * @typedef {object} UploadGrant
 * @property {string} url
 * @property {string} method
 * @property {Record<string, string>} headers
 * @property {number} [maxBytes]
 */

/**
 * A picture that a job starts from, or the mask of its first picture: in the mask, fully transparent pixels are those
 * that may change. The address is valid while this extension holds the job.
 *
 * @typedef {object} InputImage
 * @property {string} url
 * @property {string} sha256  of the file, in hexadecimal
 * @property {"image" | "mask"} role
 * @property {number} [strength]  how much of the picture may change: 0 (nothing) to 1 (everything)
 */

/**
 * What a job with input pictures needs: without a mask a variation, with one an edit. The names are capabilities that
 * the server knows.
 *
 * @typedef {"image-variation" | "image-edit"} Operation
 */

/**
 * One request from `generate_image`, validated.
 *
 * @typedef {object} Job
 * @property {string} requestId
 * @property {string} prompt
 * @property {string} model
 * @property {Record<string, unknown>} parameters
 * @property {string} [correlationId]
 * @property {string} [lease]
 * @property {UploadGrant} [upload]
 * @property {InputImage[]} [inputImages]  1 to 4; at most one of them is a mask
 * @property {number} [previews]  how many previews of each picture the server wants
 */

/**
 * The input pictures of a job, fetched and checked: PNG files.
 *
 * @typedef {object} Inputs
 * @property {Blob[]} images  at least one
 * @property {{width: number, height: number}} size  of the first image
 * @property {Blob} [mask]  of the same size
 * @property {number} [strength]  0 to 1; if the job has none, the provider chooses
 */

/**
 * One picture of a job, as a provider gets it. `width` and `height` are always set, even if the job has none: then they
 * are those of its first input picture, or a default.
 *
 * @typedef {object} PictureRequest
 * @property {string} requestId
 * @property {string} prompt
 * @property {string} model
 * @property {number} width
 * @property {number} height
 * @property {number} position  0 for the job's first picture
 * @property {string} attempt  the same only for the pictures of one attempt at the job
 * @property {boolean} begun  whether an earlier worker already asked for this picture in this attempt
 * @property {Record<string, unknown>} parameters  the job's parameters, not validated
 * @property {Inputs} [inputs]  only for providers that announce the operation
 */

/**
 * What a provider used for a picture.
 *
 * @typedef {object} Used
 * @property {number | string} [seed]  text beyond 2^53
 * @property {string} [model]  if it is not the request's
 * @property {string} [revisedPrompt]  if the generator changed the prompt
 * @property {string[]} [parameters]  names of the request's parameters that had an effect, besides the size;
 *   `strength` is that of the input pictures
 */

/**
 * An unfinished picture: a canvas that is being drawn, or a file.
 *
 * @typedef {OffscreenCanvas | Blob} PreviewSource
 */

/**
 * Takes previews of a picture.
 *
 * @typedef {object} PreviewSink
 * @property {boolean} isDue  whether the next one will be used; it need not be fetched otherwise
 * @property {(source: PreviewSource) => Promise<void>} show  never rejects; may be called at any rate
 */

/**
 * @typedef {object} GenerationContext
 * @property {(values: Used) => void} used  reports values that were used; later ones are added
 * @property {AbortSignal} signal  aborted when the job is cancelled; `generate` then rejects with the signal's reason
 * @property {(percent: number, message?: string) => void} progress  0 to 100 of this picture; may be called at any rate
 * @property {PreviewSink} [previews]  only if somebody wants previews
 * @property {Record<string, any>} settings  the provider entry's settings
 */

/**
 * What a provider can do with input pictures.
 *
 * @typedef {object} InputSupport
 * @property {Operation[]} operations
 * @property {number} maxImages  how many pictures it can use at once, besides a mask
 */

/**
 * One kind of generator. `generate` rejects with a Failure (shared/failures.js) if it cannot make the picture.
 *
 * @typedef {object} Provider
 * @property {ProviderKind} kind
 * @property {string} title  shown on the options page
 * @property {string} about  one sentence
 * @property {Field[]} fields  its settings, for the options page
 * @property {(settings: Record<string, any>) => string[]} origins  match patterns of the hosts it must reach
 * @property {(settings: Record<string, any>) => string[]} [permissions]  other optional permissions from the manifest
 *   that it needs
 * @property {(settings: Record<string, any>) => Record<string, string>} [problems]  validation beyond that of the
 *   fields: messages by field name
 * @property {(settings: Record<string, any>, signal: AbortSignal) => Promise<string>} check  tests the generator and
 *   returns a message for the user; rejects with a Failure
 * @property {(settings: Record<string, any>, model: string) => InputSupport} [inputs]  what it can do with the input
 *   pictures of jobs for this model; without it, nothing
 * @property {(request: PictureRequest, context: GenerationContext) => Promise<Blob>} generate
 * @property {boolean} resumes  whether `generate` may be called for a picture that an earlier worker began, because it
 *   takes up that work, or because it costs nothing; otherwise that attempt fails
 * @property {(request: PictureRequest, settings: Record<string, any>) => Promise<void>} [abandon]  ends the work that an
 *   earlier worker began
 */

/**
 * One setting of a provider. The options page builds its form from these.
 *
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {"text" | "url" | "secret" | "number" | "boolean" | "json" | "choice"} type
 * @property {string} [help]
 * @property {unknown} [initial]
 * @property {boolean} [required]
 * @property {string[]} [choices]
 * @property {(server: string) => unknown} [demonstration]  an example value, given the address of the user's server
 * @property {number} [min]
 * @property {number} [max]
 */

/**
 * A job as the popup shows it.
 *
 * @typedef {object} JobSummary
 * @property {string} requestId
 * @property {string} model
 * @property {string} prompt  its first 120 characters
 * @property {number} progress
 * @property {string} words  the provider's latest progress message
 * @property {"working" | "sending"} stage
 * @property {number} startedAt
 */

/**
 * Why an enabled provider takes no jobs.
 *
 * @typedef {object} ProviderState
 * @property {string} id  of its entry
 * @property {string} name
 * @property {string} problem  a sentence
 * @property {number} [pausedUntil]  set if it is only paused, after a failure
 */

/**
 * The worker's status; stored in `chrome.storage.session` under `status`, so that pages are notified of changes.
 *
 * `unset`: no server address. `waiting`: the server cannot be reached; the next attempt is at `retryAt`.
 * `refused`: the server rejected this extension, or another browser uses the same name.
 *
 * @typedef {object} Status
 * @property {"unset" | "connecting" | "connected" | "waiting" | "refused"} state
 * @property {string} why  the reason for the user, if not connected
 * @property {number} since
 * @property {number} [retryAt]
 * @property {boolean} taking  whether the extension accepts new jobs
 * @property {"" | "paused" | "hours" | "providers" | "setup" | "resting"} notTaking  why it does not: `setup`, all
 *   generators lack something; `resting`, they are paused after failures
 * @property {ProviderState[]} providers  the enabled generators that take no jobs
 * @property {{until: number, reason: string}} [serverPause]  until when the server gives it no jobs, after failures
 * @property {JobSummary[]} jobs
 * @property {number} unsent  results that are not delivered or not confirmed yet
 * @property {{date: string, done: number, failed: number}} today  local date as YYYY-MM-DD
 * @property {{model: string, reason: string, at: number}} [failure]  the latest failed job; removed after the next
 *   completed one
 * @property {{providerId: string, progress: number, words: string}} [trial]  the test picture in progress
 */

/**
 * A request from a page to the worker, sent with `chrome.runtime.sendMessage`.
 *
 * @typedef {{type: "connect"}
 *   | {type: "pause", paused: boolean}
 *   | {type: "test", providerId: string, prompt: string}
 *   | {type: "check", providerId: string}} WorkerRequest
 */

/**
 * The response to a WorkerRequest. `message` is for the user; `picture` is a data: URL, because sendMessage only
 * carries JSON; `seed` is the one that it was made with.
 *
 * @typedef {{ok: true, message?: string, picture?: string, seed?: number | string}
 *   | {ok: false, error: string}} WorkerResponse
 */

export {};
