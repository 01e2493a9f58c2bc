import { expect } from 'chai'
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { watchFiles } from '../../../../../agent/control/config/watch.ts'
import { systemClock } from '../../../../../contracts/clock.ts'
import { eventually } from '../../../../support/worker/eventually.ts'

describe('the watch over configuration files', () => {
  let home: string
  let rules: string
  let changes = 0
  let close = (): void => undefined

  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'hostmesh-watch-'))
    mkdirSync(join(home, 'etc'))
    rules = join(home, 'elsewhere', 'rules.d')
    mkdirSync(rules, { recursive: true })
    changes = 0
    close = watchFiles(join(home, 'etc', 'agent.yaml'), [rules], systemClock, () => changes++).close
  })
  afterEach(() => {
    close()
    rmSync(home, { recursive: true, force: true })
  })

  /** Does something, and awaits that it is told. */
  async function told(what: string, change: () => void): Promise<void> {
    const before = changes
    change()
    await eventually(() => changes > before).catch(() => expect.fail(`nobody was told: ${what}`))
  }

  const write = (name: string) => (): void => writeFileSync(join(rules, name), 'x')

  it('tells of the file and of files in folders, and of nothing else', async () => {
    await told('the file', () => writeFileSync(join(home, 'etc', 'agent.yaml'), 'x'))
    await told('a rule', write('a.yaml'))
    const before = changes
    writeFileSync(join(home, 'etc', 'other'), 'x')
    writeFileSync(join(rules, 'a.swp'), 'x')
    writeFileSync(join(home, 'elsewhere', 'other.yaml'), 'x')
    await told('a rule', write('b.yml'))
    expect(changes).to.equal(before + 1)
  })

  it('goes on in a folder that was removed and made again', async () => {
    await told('removed', () => rmSync(rules, { recursive: true }))
    await told('made again', () => mkdirSync(rules))
    await told('a rule in it', write('a.yaml'))
  })

  it('goes on in a folder that was made again at once, with the inode of the former one where the system gives it', async () => {
    for (let round = 0; round < 3; round++) {
      await told('made anew', () => {
        rmSync(rules, { recursive: true })
        mkdirSync(rules)
      })
      await told('a rule in it', write('a.yaml'))
    }
  })

  it('goes on in a folder that took the place of another one', async () => {
    const next = join(home, 'elsewhere', 'next')
    mkdirSync(next)
    await told('replaced', () => {
      renameSync(rules, `${rules}.old`)
      renameSync(next, rules)
    })
    await told('a rule in it', write('a.yaml'))
  })

  it('goes on behind a link that leads elsewhere now', async () => {
    const [one, two] = ['one', 'two'].map((name) => join(home, name)) as [string, string]
    for (const folder of [one, two]) mkdirSync(folder)
    rmSync(rules, { recursive: true })
    await told('a link', () => symlinkSync(one, rules))
    await told('the link leads elsewhere', () => {
      symlinkSync(two, `${rules}.next`)
      renameSync(`${rules}.next`, rules)
    })
    await told('a rule in it', () => writeFileSync(join(two, 'a.yaml'), 'x'))
  })

  it('begins with a folder that comes later', async () => {
    close()
    rmSync(rules, { recursive: true })
    close = watchFiles(join(home, 'etc', 'agent.yaml'), [rules], systemClock, () => changes++).close
    await told('made', () => mkdirSync(rules))
    await told('a rule in it', write('a.yaml'))
  })
})
