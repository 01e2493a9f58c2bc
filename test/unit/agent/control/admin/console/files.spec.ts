import { expect } from 'chai'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConsoleFiles } from '../../../../../../agent/control/admin/console/files.ts'

describe('the files of the console', () => {
  it('are refused, and end nobody, when an upgrade took them away under a running process', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hostmesh-console-'))
    const files = new ConsoleFiles(pathToFileURL(`${folder}/`))
    const statusOf = (path: string): number => {
      let status = 0
      const outgoing = { writeHead: (code: number) => (status = code), end: () => undefined }
      files.serve(path, { method: 'GET', headers: {} } as IncomingMessage, outgoing as unknown as ServerResponse)
      return status
    }
    try {
      writeFileSync(join(folder, 'index.html'), '<p>')
      writeFileSync(join(folder, 'main.ts'), 'export {}')
      expect(statusOf('/console/')).to.equal(200)
      rmSync(folder, { recursive: true })
      expect(statusOf('/console/'), 'read before').to.equal(200)
      expect(statusOf('/console/main.js')).to.equal(503)
      const later = new ConsoleFiles(pathToFileURL(`${folder}/`))
      const outgoing = { writeHead: () => undefined, end: () => undefined } as unknown as ServerResponse
      later.serve('/console/', { method: 'GET', headers: {} } as IncomingMessage, outgoing)
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
})
