import { fileURLToPath } from 'node:url'

/** Absolute path of one of our processes, `agent/worker/main`; TypeScript in a checkout, JavaScript in a release. */
export function entryPoint(name: string): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return fileURLToPath(new URL(`../${name}.${extension}`, import.meta.url))
}
