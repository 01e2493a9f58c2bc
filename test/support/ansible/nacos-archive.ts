/**
 * A real Nacos server in the shape in which its project publishes one: `nacos/target/nacos-server.jar`, `nacos/conf/`.
 * The server is that of the other tests (`test/support/nacos/artifacts.ts`).
 */
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { prepareNacos } from '../nacos/artifacts.ts'

const run = promisify(execFile)

/** The server of the tests ends with its standard input, and a unit has none. */
const held = `import java.io.InputStream;
public class Held {
  public static void main(String[] words) {
    System.setIn(new InputStream() {
      public int read() {
        try { Thread.sleep(Long.MAX_VALUE); } catch (InterruptedException e) { }
        return -1;
      }
    });
    realnacos.NacosMain.main(words);
  }
}
`

const properties = {
  'server.servlet.contextPath': '/nacos',
  'server.tomcat.accesslog.enabled': 'false',
  'server.tomcat.basedir': 'file:.',
  'management.metrics.export.elastic.enabled': 'false',
  'management.metrics.export.influx.enabled': 'false',
  'nacos.core.auth.system.type': 'nacos',
  'nacos.core.auth.enabled': 'false',
  'nacos.core.auth.server.identity.key': 'test-identity',
  'nacos.core.auth.server.identity.value': 'test-identity-value',
  'nacos.core.auth.plugin.nacos.token.secret.key': Buffer.from('test-only-secret-key-of-32-bytes-or-more').toString(
    'base64',
  ),
}

/** Answers the path of the archive, in `folder`. */
export async function nacosArchive(folder: string): Promise<string> {
  const { classPath } = await prepareNacos('2.3.1')
  const [target, conf, scratch] = ['nacos/target', 'nacos/conf', 'held'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  for (const path of [join(target, 'lib'), conf, scratch]) mkdirSync(path, { recursive: true })
  const jars = classPath.split(':')
  for (const jar of jars) copyFileSync(jar, join(target, 'lib', basename(jar)))
  writeFileSync(join(scratch, 'Held.java'), held)
  await run('javac', ['-cp', classPath, '-d', join(scratch, 'classes'), join(scratch, 'Held.java')])
  const words = `Class-Path: ${jars.map((jar) => `lib/${basename(jar)}`).join(' ')}`
  // the order counts; a line of a manifest has at most 72 bytes
  writeFileSync(join(scratch, 'manifest'), `Main-Class: Held\n${words.match(/.{1,70}/g)!.join('\n ')}\n`)
  const jar = join(target, 'nacos-server.jar')
  await run('jar', ['cfm', jar, join(scratch, 'manifest'), '-C', join(scratch, 'classes'), '.'])
  const lines = Object.entries(properties).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(join(conf, 'application.properties'), lines.join(''))
  const archive = join(folder, 'nacos-server.tar.gz')
  await run('tar', ['-c', '--use-compress-program=gzip -1', '-f', archive, '-C', folder, 'nacos'])
  return archive
}
