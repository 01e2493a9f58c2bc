/**
 * Every command of the documentation is run: here, those of `hostmesh` on a live host; on a booted machine
 * (`machine.spec.ts`); by the spec that is named. The quick start has a spec of its own.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { expect } from 'chai'
import { entryPoint } from '../../../cli/entry-point.ts'
import {
  blocksOf,
  commandsOfDocs,
  isOurs,
  namedCommands,
  pages,
  shellLines,
  wordsOf,
} from '../../support/docs/commands.ts'
import { runs } from '../../support/docs/hostmesh-lines.ts'
import { machineLines } from '../../support/docs/machine-lines.ts'
import { otherLines } from '../../support/docs/other-lines.ts'
import { until } from '../../support/mesh/mesh.ts'
import { tracedPair } from '../../support/mesh/traced-pair.ts'
import type { TracedPair } from '../../support/mesh/traced-pair.ts'

describe('commands of other programs in the documentation', function () {
  // reading the structure of all sources takes half a minute of processor time
  this.timeout(300_000)
  const onMachine = new Set(machineLines.map(({ line }) => line))
  const found = [...shellLines().keys(), ...[...namedCommands().keys()].filter((line) => !isOurs(line))]

  it('are each run by somebody', () => {
    const isTaken = (line: string): boolean => line in otherLines || onMachine.has(line)
    expect(found.length).to.be.above(80)
    expect(found.filter((line) => !isTaken(line))).to.deep.equal([])
    expect([...onMachine, ...Object.keys(otherLines)].filter((line) => !found.includes(line))).to.deep.equal([])
  })

  it('stand in blocks that say what they are', () => {
    const kinds = new Set(pages.flatMap((file) => blocksOf(file).map(({ kind }) => `${file}: ${kind}`)))
    // another word for a shell's would hide its commands
    const known = /: (?:sh(?: [ab])?|text|output|yaml|json|ts|js|java)$/
    expect([...kinds].filter((kind) => !known.test(kind))).to.deep.equal([])
    const followed = [...kinds].filter((kind) => /: (?:sh .|output)$/.test(kind))
    expect(followed.filter((kind) => !kind.includes('quick-start.md'))).to.deep.equal([])
  })

  it('of npm are scripts whose files are there', () => {
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
    for (const line of found) {
      const name = /^npm run (\S+)/.exec(line)?.[1]
      if (name === undefined) continue
      expect(scripts, line).to.have.property(name)
      for (const file of scripts[name]!.match(/\S+\.[jt]s\b/g) ?? []) expect(existsSync(file), file).to.equal(true)
    }
  })

  for (const [line, taken] of Object.entries(otherLines))
    if ('spec' in taken)
      it(`${line}: in ${taken.spec}`, () => expect(readFileSync(taken.spec, 'utf8')).to.include(taken.what))
    else
      it(line, async () => {
        const child = spawn('sh', ['-c', taken.run], { stdio: ['ignore', 'pipe', 'pipe'] })
        let text = ''
        for (const stream of [child.stdout, child.stderr])
          stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
        const [code] = (await once(child, 'close')) as [number]
        expect(code, text).to.equal(0)
      })
})

describe('commands of the documentation', function () {
  this.timeout(180_000)
  const lines = [...new Set([...commandsOfDocs().keys(), ...[...namedCommands().keys()].filter(isOurs)])].toSorted()
  let pair: TracedPair
  let isOver = false
  let traffic: Promise<void>

  before(async () => {
    pair = await tracedPair({})
    const pass = async (): Promise<void> => {
      while (!isOver) {
        // a hot restart is among the commands; what it costs callers is another spec's
        await pair.ask({}, '/seen').catch(() => {})
        await pair.ask({ 'x-mesh-service': 'nobody' }, '/lost').catch(() => {})
      }
    }
    traffic = pass()
  })
  after(async () => {
    isOver = true
    await traffic
    await pair?.close()
  })

  it('are all known here: run, or with the spec that runs them', () => {
    expect(lines.filter((line) => !(line in runs))).to.deep.equal([])
    expect(Object.keys(runs).filter((line) => !lines.includes(line))).to.deep.equal([])
    const missing: string[] = []
    for (const [line, run] of Object.entries(runs)) {
      if (typeof run !== 'string') continue
      const text = readFileSync(run, 'utf8')
      // the command, and every option that the line has
      for (const word of line.split(' ').filter((one, at) => at === 1 || one.startsWith('--')))
        if (!new RegExp(`\\b${word.replace(/^-+/, '')}\\b`).test(text)) missing.push(`${run}: ${line}: ${word}`)
    }
    expect(missing).to.deep.equal([])
  })

  for (const line of lines) {
    const run = runs[line]
    if (run === undefined || typeof run === 'string') continue
    it(`${line}`, async () => {
      const words = wordsOf(run.as ?? line).slice(1)
      const child = spawn(process.execPath, [entryPoint('cli/main'), ...words, '-c', pair.alpha.configPath])
      let text = ''
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
      let code: number | null | undefined
      // and with its end all that it said is here
      child.once('close', (status) => (code = status))
      if (run.code === undefined) {
        await until(20_000, `${line} says ${run.says}`, async () => code !== undefined || run.says.test(text))
        if (code === undefined) {
          const ended = once(child, 'close')
          child.kill('SIGINT')
          await ended
        }
        expect(text, text).to.match(run.says)
        expect(code, text).to.equal(0)
      } else {
        await once(child, 'close')
        expect(text).to.match(run.says)
        expect(code, text).to.equal(run.code)
      }
    })
  }
})
