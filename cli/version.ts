import { readFileSync } from 'node:fs'

/** Version of this release, from its package file. */
export function productVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}

/** What the watchdog calls this release. */
export function releaseName(): string {
  return `hostmesh ${productVersion()}`
}
