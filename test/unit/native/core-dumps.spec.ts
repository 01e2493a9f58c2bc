import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

describe('core dumps', () => {
  it('are forbidden for good, to a process that asks for it and to those that it starts', () => {
    const file = join(import.meta.dirname, '../../../native/core-dumps.ts')
    const program = `
      import { spawnSync } from 'node:child_process'
      import { forbidCoreDumps } from ${JSON.stringify(file)}
      if (!forbidCoreDumps()) throw new Error('refused')
      process.stdout.write(spawnSync('cat', ['/proc/self/limits'], { encoding: 'utf8' }).stdout)`
    const flags = ['--disable-warning=ExperimentalWarning', '--experimental-ffi', '--input-type=module', '-e', program]
    const { stderr, stdout } = spawnSync(process.execPath, flags, { encoding: 'utf8' })
    expect(stdout, stderr).to.match(/^Max core file size +0 +0 +bytes/m)
  })
})
