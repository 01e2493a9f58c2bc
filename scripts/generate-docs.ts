/** Writes the pages of `docs/` that come from code. `--check` writes nothing and exits 1 when a page differs. */
import { readFileSync, writeFileSync } from 'node:fs'
import { generatedPages } from './generated-pages.ts'

const isCheck = process.argv.includes('--check')
for (const [file, write] of Object.entries(generatedPages)) {
  const page = await write()
  if (!isCheck) writeFileSync(file, page)
  else if (readFileSync(file, 'utf8') !== page) {
    console.error(`${file}: differs from the code; run npm run docs`)
    process.exitCode = 1
  }
}
