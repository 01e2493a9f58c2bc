import { expect } from 'chai'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MeshError } from '../../../../../../contracts/errors.ts'
import { readChecked, writeChecked } from '../../../../../../agent/control/core/state/checked-file.ts'
import { CoalescedWriter } from '../../../../../../agent/control/core/state/coalesced-writer.ts'
import { systemClock } from '../../../../../../agent/control/clock.ts'

async function codeOf(work: () => unknown): Promise<string> {
  try {
    await work()
  } catch (error) {
    return error instanceof MeshError ? error.code : String(error)
  }
  return 'none'
}

describe('files of the state directory', () => {
  let folder: string
  let file: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-state-'))
    file = join(folder, 'snapshot.json')
  })
  afterEach(() => {
    chmodSync(folder, 0o700)
    rmSync(folder, { recursive: true, force: true })
  })

  it('come back as they were written, and a missing one is undefined', async () => {
    expect(readChecked(file, 1)).to.equal(undefined)
    await writeChecked(file, 1, { a: ['ü', 1, null] })
    expect(readChecked(file, 1)).to.deep.equal({ a: ['ü', 1, null] })
    expect(readdirSync(folder)).to.deep.equal(['snapshot.json'])
  })

  it('are refused when any byte is damaged, when cut short, and when of another format', async () => {
    await writeChecked(file, 1, { services: { a: 1 } })
    const good = readFileSync(file)
    for (let at = 0; at < good.length - 2; at++) {
      const bad = Buffer.from(good)
      bad[at] = bad[at]! ^ 1
      writeFileSync(file, bad)
      expect(await codeOf(() => readChecked(file, 1)), `byte ${at}`).to.equal('E_SNAPSHOT_CORRUPT')
    }
    for (let length = 0; length < good.length - 2; length++) {
      writeFileSync(file, good.subarray(0, length))
      expect(await codeOf(() => readChecked(file, 1)), `length ${length}`).to.equal('E_SNAPSHOT_CORRUPT')
    }
    writeFileSync(file, good)
    expect(await codeOf(() => readChecked(file, 2))).to.equal('E_SNAPSHOT_CORRUPT')
  })

  it('stay as they were when the disk is full', async function () {
    await writeChecked(file, 1, { good: true })
    // every write to /dev/full ends with ENOSPC: the temporary file is led there
    symlinkSync('/dev/full', `${file}.${process.pid}.tmp`)
    expect(await codeOf(() => writeChecked(file, 1, { good: false }))).to.equal('E_SNAPSHOT_WRITE')
    expect(readChecked(file, 1)).to.deep.equal({ good: true })
    expect(readdirSync(folder)).to.deep.equal(['snapshot.json'])
  })

  it('stay as they were when the directory is gone', async () => {
    const missing = join(folder, 'nowhere', 'snapshot.json')
    expect(await codeOf(() => writeChecked(missing, 1, {}))).to.equal('E_SNAPSHOT_WRITE')
  })

  it('are written again when a failed write can succeed, and the problem is told once each way', async () => {
    const events: string[] = []
    const directory = join(folder, 'state')
    const writer = new CoalescedWriter({
      file: join(directory, 'x.json'),
      format: 1,
      delayMs: 1,
      clock: systemClock,
      body: () => ({ value: 7 }),
      refusal: () => undefined,
      onProblem: (problem) => void events.push(problem.code),
      onRecovered: () => void events.push('recovered'),
    })
    writer.setEnabled(true)
    writer.changed()
    await writer.flush()
    writer.changed()
    await writer.flush()
    expect(events).to.deep.equal(['E_SNAPSHOT_WRITE'])
    mkdirSync(directory)
    await writer.flush()
    expect(events).to.deep.equal(['E_SNAPSHOT_WRITE', 'recovered'])
    expect(readChecked(join(directory, 'x.json'), 1)).to.deep.equal({ value: 7 })
    await writer.close()
  })

  it('are written once more when a change comes while one is written at once', async () => {
    let value = 1
    const writer = new CoalescedWriter({
      file,
      format: 1,
      delayMs: 1,
      clock: systemClock,
      body: () => value,
      refusal: () => undefined,
      onProblem: () => undefined,
      onRecovered: () => undefined,
    })
    writer.setEnabled(true)
    writer.changed()
    const flushed = writer.flush()
    value = 2
    writer.changed()
    await flushed
    while (readChecked(file, 1) !== 2) await new Promise((resolve) => setImmediate(resolve))
    await writer.close()
  })

  it('are not written by a generation that does not lead', async () => {
    const writer = new CoalescedWriter({
      file,
      format: 1,
      delayMs: 1,
      clock: systemClock,
      body: () => 1,
      refusal: () => undefined,
      onProblem: () => undefined,
      onRecovered: () => undefined,
    })
    writer.changed()
    await writer.flush()
    expect(readdirSync(folder)).to.deep.equal([])
    writer.setEnabled(true)
    await writer.close()
    expect(readChecked(file, 1)).to.equal(1)
  })
})
