import { expect } from 'chai'
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadNative } from '../../../native/descriptors.ts'
import { journalEntry, journalStream } from '../../../native/journal.ts'
import { loadLibc } from '../../../native/libc.ts'
import { MessageMemory } from '../../../native/socket-message.ts'
import { outputTo } from '../../../watchdog/systemd/output.ts'

describe('the journal', () => {
  const libc = loadLibc().libc!
  const memory = new MessageMemory(libc)
  const { native } = loadNative()
  let folder: string
  let address: string
  let socket: number
  let output: number

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hm-journal-'))
    address = join(folder, 'socket')
    socket = libc.socket(1, 2 | 0o4000, 0)
    const bound = memory.address(address)!
    expect(libc.bind(socket, bound.bytes, bound.length)).to.equal(0)
    output = openSync(join(folder, 'output'), 'w')
  })

  afterEach(() => {
    libc.close(socket)
    closeSync(output)
    rmSync(folder, { recursive: true, force: true })
  })

  const streamOf = (descriptor: number): string => {
    const { dev, ino } = fstatSync(descriptor, { bigint: true })
    return `${dev}:${ino}`
  }
  const next = (): string => {
    const got = memory.receive(socket)
    return got.kind === 'message' ? got.bytes.toString() : got.kind
  }

  it('gets message, priority, code and every field of a line', () => {
    const journal = journalStream(output, { JOURNAL_STREAM: streamOf(output) }, native, address)!
    const line = {
      level: 'error',
      time: '2026-01-01T00:00:00.000Z',
      process: 'worker',
      pid: 77,
      index: 1,
      drainedMs: 12,
      held: ['a', 'b'],
      msg: 'E_LISTEN_IN_USE  port 80: "nginx" has it',
    }
    expect(journal.take(`${JSON.stringify(line)}\n`)).to.equal(true)
    expect(next().split('\n')).to.deep.equal([
      'MESSAGE=E_LISTEN_IN_USE  port 80: "nginx" has it',
      'PRIORITY=3',
      'SYSLOG_IDENTIFIER=hostmesh',
      'SYSLOG_PID=77',
      'HOSTMESH_CODE=E_LISTEN_IN_USE',
      'HOSTMESH_PROCESS=worker',
      'HOSTMESH_INDEX=1',
      'HOSTMESH_DRAINED_MS=12',
      'HOSTMESH_HELD=["a","b"]',
      '',
    ])
  })

  it('cannot be given a field by a value: lines and names that others chose stay values', () => {
    const entry = journalEntry(JSON.stringify({ level: 'info', 'a=b\nPRIORITY': 'x', msg: 'one\nPRIORITY=0\n_UID=0' }))!
    const value = 'one\nPRIORITY=0\n_UID=0'
    const head = Buffer.from('MESSAGE\n')
    expect(entry.subarray(0, head.length).equals(head)).to.equal(true)
    expect(entry.readBigUInt64LE(head.length)).to.equal(BigInt(value.length))
    const rest = entry.subarray(head.length + 8 + value.length).toString()
    expect(rest).to.equal('\nPRIORITY=6\nSYSLOG_IDENTIFIER=hostmesh\nHOSTMESH_A_B_PRIORITY=x\n')
  })

  it('is there only where the descriptor is the stream that the service manager named', () => {
    const other = openSync(join(folder, 'other'), 'w')
    expect(journalStream(output, { JOURNAL_STREAM: streamOf(other) }, native, address)).to.equal(undefined)
    expect(journalStream(output, {}, native, address)).to.equal(undefined)
    expect(journalStream(output, { JOURNAL_STREAM: streamOf(output) }, undefined, address)).to.equal(undefined)
    closeSync(other)
  })

  it('does not take what is no line of a log, what is too long, and nothing when it is gone: then it is written', () => {
    const written: string[] = []
    const journal = journalStream(output, { JOURNAL_STREAM: streamOf(output) }, native, address)
    const write = outputTo(journal, (text) => written.push(text.toString()))
    const good = `${JSON.stringify({ level: 'info', msg: 'good' })}\n`
    const long = `${JSON.stringify({ level: 'info', msg: 'x'.repeat(5000) })}\n`
    write(Buffer.from(`Segmentation fault\n${good}${long}[1,2]\n{"level":"info","ms`))
    expect(written).to.deep.equal(['Segmentation fault\n', long, '[1,2]\n', '{"level":"info","ms'])
    expect(next()).to.match(/^MESSAGE=good\n/)
    rmSync(address)
    write(good)
    expect(written.at(-1)).to.equal(good)
  })
})
