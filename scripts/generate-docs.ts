/** Writes the pages of `docs/` that come from code. `--check` writes nothing and exits 1 when a page differs. */
import { readFileSync, writeFileSync } from 'node:fs'
import * as prettier from 'prettier'
import { configDocument } from '../agent/control/config/document.ts'

const pages: Readonly<Record<string, () => string>> = { 'docs/config.md': configDocument }
const isCheck = process.argv.includes('--check')
for (const [file, write] of Object.entries(pages)) {
  const options = await prettier.resolveConfig(file)
  const page = await prettier.format(write(), { ...options, parser: 'markdown' })
  if (!isCheck) writeFileSync(file, page)
  else if (readFileSync(file, 'utf8') !== page) {
    console.error(`${file}: differs from the code; run node scripts/generate-docs.ts`)
    process.exitCode = 1
  }
}
