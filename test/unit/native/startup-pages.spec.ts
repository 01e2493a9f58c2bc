import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { droppableMappings } from '../../../native/startup-pages.ts'

describe('pages that only the start needed', () => {
  it('are those of unwritable and unchanged mappings of files, and of nothing else', () => {
    const smaps = [
      '1000-2000 r-xp 00000000 fe:00 1                     /usr/bin/node',
      'Rss:                   4 kB',
      'Private_Dirty:         0 kB',
      '2000-3000 r--p 00000000 fe:00 1                     /usr/bin/node',
      'Private_Dirty:         4 kB',
      '3000-4000 rw-p 00000000 fe:00 1                     /usr/bin/node',
      'Private_Dirty:         0 kB',
      '4000-5000 r-xp 00000000 00:00 0 ',
      'Private_Dirty:         0 kB',
      '5000-6000 r--p 00000000 00:00 0                     [vvar]',
      'Private_Dirty:         0 kB',
      '6000-7000 r--p 00000000 fe:00 1                     /usr/lib/libc.so.6',
      'Private_Dirty:         0 kB',
    ].join('\n')
    expect(droppableMappings(smaps)).to.deep.equal([
      { start: 0x1000n, end: 0x2000n },
      { start: 0x6000n, end: 0x7000n },
    ])
  })

  it('can go without the process noticing, except that it is smaller', () => {
    const code = `
      import { readFileSync } from 'node:fs'
      import { loadNative } from '${join(import.meta.dirname, '../../../native/descriptors.ts')}'
      import { releaseStartupPages } from '${join(import.meta.dirname, '../../../native/startup-pages.ts')}'
      loadNative()
      const rss = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1])
      const before = rss()
      const isDone = releaseStartupPages()
      const after = rss()
      const sum = Array.from({ length: 1000 }, (_, i) => JSON.stringify({ i })).join('').length
      console.log(JSON.stringify({ isDone, isSmaller: after < before, sum }))`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' })
    expect(JSON.parse(stdout || stderr)).to.deep.equal({ isDone: true, isSmaller: true, sum: 8890 })
  })
})
