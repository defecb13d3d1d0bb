/** Prepares text from other services for display. */

const MAX_CHARS = 300;

/** A path in quotes, which may contain spaces: `'/home/ann/My models/a.ckpt'`, `"C:\ComfyUI\main.py"`. */
const QUOTED_PATH = /(["'`])(?:file:\/\/|[A-Za-z]:|~)?[\\/][^"'`\n]*[\\/]([^"'`\\/\n]*)\1/g;
/** `C:\Users\Ann Smith\x.py` or `\\server\share\x.py`; a space belongs to it if a backslash follows. */
const WINDOWS_PATH = /(?:\b[A-Za-z]:[\\/]|\\\\)(?:[^\s"'`\\/,;)]+(?: [^\s"'`\\/,;)]+)*[\\/])*([^\s"'`\\/,;)]*)/g;
/** A web address, which stays, or `/home/ann/x.py`, `~/x.py`, `file:///home/ann/x.py`. */
const POSIX_PATH = /(\bhttps?:\/\/\S*)|(?:file:\/\/|(?<![\w:/.~%-])~?)(?:\/[^\s"'`/,;:()[\]]+)+\/([^\s"'`/,;:()[\]]*)/g;

/**
 * The text on one line, truncated, without the folders of the machine that it comes from: it is shown to clients.
 *
 * @param {unknown} text
 * @returns {string}
 */
export function shorten(text) {
  const line = withoutFolders(String(text ?? "")).replace(/[\s\p{C}]+/gu, " ").trim();
  return line.length > MAX_CHARS ? `${line.slice(0, MAX_CHARS - 1)}…` : line;
}

/** @param {string} text */
function withoutFolders(text) {
  return text.replace(QUOTED_PATH, "$1…/$2$1").replace(WINDOWS_PATH, "…/$1")
    .replace(POSIX_PATH, (_, address, name) => address ?? `…/${name}`);
}
