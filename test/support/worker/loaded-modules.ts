/** Which modules a process loads, in the order in which it does. */
import { readFileSync } from 'node:fs'

const root = new URL('../../../', import.meta.url).href

/** Flags for Node, with which a process writes down in `file` what it loads. */
export function listingFlags(file: string): string[] {
  const code = `import { registerHooks } from 'node:module'
import { appendFileSync } from 'node:fs'
registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(file)}, url + '\\n'); return next(url, context) } })`
  return ['--import', `data:text/javascript,${encodeURIComponent(code)}`]
}

/** From the root of the project; modules of Node are `node:NAME`, files of packages begin with `node_modules/`. */
export function loadedModules(file: string): string[] {
  const urls = new Set(readFileSync(file, 'utf8').trim().split('\n'))
  return [...urls].map((url) => (url.startsWith(root) ? url.slice(root.length) : url))
}
