#!/usr/bin/env node
// The `hostmesh` command: TypeScript in a checkout, JavaScript in a release. Plain JavaScript, so that an older Node can read it.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isNewEnough, runUnderBundledNode } from './bundled-node.js'

const here = (name) => fileURLToPath(new URL(name, import.meta.url))
const main = existsSync(here('./main.js')) ? './main.js' : './main.ts'

// in this process where possible: the watchdog keeps the process id that its service manager knows
if (isNewEnough) await (await import(main)).run()
else runUnderBundledNode(here(main), process.argv.slice(2))
