import { expect } from 'chai'
import { globSync, readFileSync } from 'node:fs'

import { maxNominated } from '../../../http1/head.ts'
import { maxMethodBytes } from '../../../http1/read-request.ts'
import { maxReplayBytes } from '../../../agent/worker/forward/replay-buffer.ts'
import { maxMirrors } from '../../../agent/worker/forward/mirrors.ts'
import { maxSourceApps } from '../../../agent/worker/filters/rate-limit.ts'
import { acceptBacklog } from '../../../contracts/handoff.ts'
import { defaultLimits } from '../../../contracts/snapshot.ts'

describe('docs/limits.md', () => {
  const page = readFileSync('docs/limits.md', 'utf8')
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim()),
    )
  const source = globSync(['agent/worker/**/*.ts', 'http1/*.ts'])
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n')

  it('lists every limit of the snapshot with its default and a metric', () => {
    const listed = new Map(rows.filter(([key]) => key?.startsWith('`')).map((row) => [row[0]?.slice(1, -1), row]))
    expect([...listed.keys()]).to.have.members(Object.keys(defaultLimits))
    for (const [key, value] of Object.entries(defaultLimits)) {
      expect(listed.get(key)?.[1], key).to.equal(String(value))
      expect(listed.get(key)?.[4], key).to.match(/`hostmesh_\w+`/)
    }
  })

  it('names only metrics that a worker or control has', () => {
    const ofControl = readFileSync('agent/control/metric-texts.ts', 'utf8')
    const named = [...page.matchAll(/`(hostmesh_\w+)`/g)].map((match) => match[1] as string)
    expect(named).to.have.length.greaterThan(15)
    for (const name of named)
      expect(source.includes(`'${name}'`) || ofControl.includes(`  ${name}:`), name).to.equal(true)
  })

  it('names only limits that the worker looks at', () => {
    for (const key of Object.keys(defaultLimits)) expect(source, key).to.match(new RegExp(`\\b${key}\\b`))
  })

  it('gives the fixed bounds as they are in the code', () => {
    const bound = (what: string) => rows.find(([first]) => first?.startsWith(what))?.[1]
    expect(bound('connections that wait to be accepted')).to.match(new RegExp(`^${acceptBacklog} `))
    expect(bound('method')).to.equal(`${maxMethodBytes} bytes`)
    expect(bound('fields named by Connection')).to.equal(String(maxNominated))
    expect(bound('request body kept')).to.equal(`${maxReplayBytes} bytes`)
    expect(bound('mirrored requests')).to.equal(`${maxMirrors} per worker`)
    expect(bound('rate limit buckets')).to.equal(`${maxSourceApps} per limit`)
  })
})
