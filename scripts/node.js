// `node scripts/node.js FILE [ARGUMENT …]`: runs a TypeScript file under the Node that npm ci brought along. Plain JavaScript, so that an older Node can read it.
import { resolve } from 'node:path'
import { runUnderBundledNode } from '../cli/bundled-node.js'

const [file, ...argv] = process.argv.slice(2)
runUnderBundledNode(resolve(file), argv)
