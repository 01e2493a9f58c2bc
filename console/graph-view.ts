/**
 * The picture of the graph: SVG in a layer that is moved and zoomed as a whole. While it moves the browser shows the
 * picture that it has, and draws it sharp again when it rests.
 */
import { callerName, ms, rate, share } from './format.ts'
import { layOut, nodeHeight, nodeWidth, type Layout } from './graph-layout.ts'
import { html, useEffect, useMemo, useRef, type View } from './html.ts'
import type { CallEdge } from '../contracts/call-graph.ts'
import { t } from './words.ts'

export interface NodeFigures {
  readonly rate: number | null
  readonly failureRate: number | null
  readonly p99Ms: number | null
}

export interface GraphProps {
  readonly edges: readonly CallEdge[]
  readonly figures: ReadonlyMap<string, NodeFigures>
  readonly chosen: string | undefined
  readonly onChoose: (name: string | undefined) => void
  readonly wanted: string
}

interface Camera {
  x: number
  y: number
  zoom: number
}

const margin = 24
/** Above the picture, for the buttons. */
const toolRoom = 56
const restMs = 200
/** Around the nodes, for lines and frames that reach beyond them. */
const edgeRoom = 12
const zoomStep = 1.25
const panStep = 60
const leastZoom = 0.1
const mostZoom = 3
const longestName = 22

export function GraphView({ chosen, edges, figures, onChoose, wanted }: GraphProps): View {
  const shape = edges.map(({ source, target }) => `${source}\n${target}`).join('\n\n')
  const layout = useMemo(() => layOut(edges), [shape])
  const frame = useRef<HTMLDivElement>(null)
  const stage = useRef<HTMLDivElement>(null)
  const resting = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  const camera = useRef<Camera>({ x: 0, y: 0, zoom: 1 })
  const look = (): void => {
    const { x, y, zoom } = camera.current
    if (stage.current === null) return
    stage.current.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`
    stage.current.classList.add('moving')
    clearTimeout(resting.current)
    resting.current = setTimeout(() => stage.current?.classList.remove('moving'), restMs)
  }
  const zoomBy = (factor: number, atX?: number, atY?: number): void => {
    const box = frame.current!.getBoundingClientRect()
    const now = camera.current
    const zoom = Math.min(mostZoom, Math.max(leastZoom, now.zoom * factor))
    const [x, y] = [atX ?? box.width / 2, atY ?? box.height / 2]
    camera.current = { zoom, x: x - ((x - now.x) * zoom) / now.zoom, y: y - ((y - now.y) * zoom) / now.zoom }
    look()
  }
  const fit = (): void => {
    camera.current = fitted(layout, frame.current!.getBoundingClientRect())
    look()
  }
  useEffect(() => fit(), [layout])
  useEffect(() => moveBy(frame.current!, camera, look, zoomBy), [])
  const onKey = (event: KeyboardEvent): void => {
    const pans: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [panStep, 0],
      ArrowRight: [-panStep, 0],
      ArrowUp: [0, panStep],
      ArrowDown: [0, -panStep],
    }
    const pan = pans[event.key]
    if (event.key === '+' || event.key === '=') zoomBy(zoomStep)
    else if (event.key === '-') zoomBy(1 / zoomStep)
    else if (event.key === '0') fit()
    else if (event.key === 'Escape') onChoose(undefined)
    else if (pan !== undefined) {
      camera.current = { ...camera.current, x: camera.current.x + pan[0], y: camera.current.y + pan[1] }
      look()
    } else return
    event.preventDefault()
  }
  const near = useMemo(() => nearTo(chosen, edges), [chosen, shape])
  const isFaint = (name: string): boolean =>
    (near !== undefined && !near.has(name)) || (wanted !== '' && !name.toLowerCase().includes(wanted))
  return html`
    <div class="graph">
      <div class="graph-tools">
        <button type="button" onClick=${() => zoomBy(zoomStep)} aria-label=${t('zoomIn')}>+</button>
        <button type="button" onClick=${() => zoomBy(1 / zoomStep)} aria-label=${t('zoomOut')}>−</button>
        <button type="button" onClick=${fit}>${t('fit')}</button>
      </div>
      <div ref=${frame} class="graph-frame" role="group" aria-label=${t('graph')} onKeyDown=${onKey}>
        <div ref=${stage} class="graph-stage">
          <svg
            width=${layout.width + 2 * edgeRoom}
            height=${layout.height + 2 * edgeRoom}
            viewBox=${`${-edgeRoom} ${-edgeRoom} ${layout.width + 2 * edgeRoom} ${layout.height + 2 * edgeRoom}`}
          >
            <defs>
              ${['plain', 'warn', 'bad'].map(
                (tone) =>
                  html`<marker
                    key=${tone}
                    id=${`tip-${tone}`}
                    viewBox="0 0 8 8"
                    refX="7"
                    refY="4"
                    markerWidth="9"
                    markerHeight="9"
                    markerUnits="userSpaceOnUse"
                    orient="auto"
                    ><path class=${`tip ${tone}`} d="M0 0 L8 4 L0 8 z"
                  /></marker>`,
              )}
            </defs>
            ${edges.map(
              (edge) =>
                html`<${Arrow}
                  key=${`${edge.source} ${edge.target}`}
                  edge=${edge}
                  layout=${layout}
                  isFaint=${chosen === undefined ? isFaint(edge.source) && isFaint(edge.target) : edge.source !== chosen && edge.target !== chosen}
                  isTold=${edge.source === chosen || edge.target === chosen}
                />`,
            )}
            ${[...layout.spots].map(
              ([name, spot]) =>
                html`<${Box}
                  key=${name}
                  name=${name}
                  x=${spot.x}
                  y=${spot.y}
                  figures=${figures.get(name)}
                  isChosen=${name === chosen}
                  isFaint=${isFaint(name)}
                  onChoose=${onChoose}
                />`,
            )}
          </svg>
        </div>
      </div>
    </div>
  `
}

function Arrow(props: {
  readonly edge: CallEdge
  readonly layout: Layout
  readonly isFaint: boolean
  readonly isTold: boolean
}): View {
  const { edge, isFaint, isTold, layout } = props
  const [from, to] = [layout.spots.get(edge.source)!, layout.spots.get(edge.target)!]
  const [x1, y1, x2, y2] = [from.x + nodeWidth, from.y + nodeHeight / 2, to.x - 2, to.y + nodeHeight / 2]
  const bend = Math.max(40, Math.abs(x2 - x1) / 2)
  const width = 1 + Math.min(5, Math.log10(1 + (edge.rate ?? 0)) * 1.8)
  const tone = toneOf(edge)
  const tier = edge.tier === 'agent' ? '' : ' dashed'
  return html`<g class=${isFaint ? 'faint' : ''}>
    <path
      class=${`arrow ${tone}${tier}`}
      d=${`M${x1} ${y1} C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`}
      stroke-width=${width.toFixed(1)}
      marker-end=${`url(#tip-${tone})`}
    />
    ${
      isTold
        ? html`<text class="arrow-label" x=${(x1 + x2) / 2} y=${(y1 + y2) / 2 - 6}>
            ${`${rate(edge.rate)} · ${share(edge.failureRate, edge.rate)} · ${ms(edge.p99Ms)}`}
          </text>`
        : null
    }
  </g>`
}

function Box(props: {
  readonly name: string
  readonly x: number
  readonly y: number
  readonly figures: NodeFigures | undefined
  readonly isChosen: boolean
  readonly isFaint: boolean
  readonly onChoose: (name: string | undefined) => void
}): View {
  const { figures, isChosen, isFaint, name, onChoose, x, y } = props
  const tone = figures === undefined ? 'caller' : toneOf(figures)
  const title = callerName(name)
  const told =
    figures === undefined
      ? t('caller')
      : `${rate(figures.rate)}  ${share(figures.failureRate, figures.rate)}  ${ms(figures.p99Ms)}`
  const choose = (): void => onChoose(isChosen ? undefined : name)
  return html`<g
    class=${`box ${tone}${isChosen ? ' chosen' : ''}${isFaint ? ' faint' : ''}`}
    transform=${`translate(${x} ${y})`}
    tabindex="0"
    role="button"
    aria-pressed=${isChosen}
    onClick=${choose}
    onKeyDown=${(event: KeyboardEvent) => {
      if (event.key !== 'Enter' && event.key !== ' ') return
      event.preventDefault()
      choose()
    }}
  >
    <rect width=${nodeWidth} height=${nodeHeight} rx="9" />
    <text class="box-name" x="12" y="19"
      >${title.length > longestName ? `${title.slice(0, longestName - 1)}…` : title}</text
    >
    <text class="box-told" x="12" y="35">${told}</text>
  </g>`
}

function toneOf({ failureRate, rate: all }: Pick<NodeFigures, 'failureRate' | 'rate'>): 'plain' | 'warn' | 'bad' {
  if (!failureRate || !all) return 'plain'
  return failureRate / all >= 0.05 ? 'bad' : 'warn'
}

function nearTo(chosen: string | undefined, edges: readonly CallEdge[]): ReadonlySet<string> | undefined {
  if (chosen === undefined) return undefined
  const touching = edges.filter(({ source, target }) => source === chosen || target === chosen)
  return new Set([chosen, ...touching.flatMap(({ source, target }) => [source, target])])
}

function fitted({ height, width }: Layout, box: { readonly width: number; readonly height: number }): Camera {
  const free = { width: box.width - 2 * margin, height: box.height - toolRoom - margin }
  const zoom = Math.min(1.2, free.width / width, free.height / height)
  return {
    zoom,
    x: margin + (free.width - width * zoom) / 2 - edgeRoom * zoom,
    y: toolRoom + (free.height - height * zoom) / 2 - edgeRoom * zoom,
  }
}

/** Drags and wheels. Answers what takes the listeners off again. */
function moveBy(
  frame: HTMLDivElement,
  camera: { current: Camera },
  look: () => void,
  zoomBy: (factor: number, x: number, y: number) => void,
): () => void {
  let held: { x: number; y: number } | undefined
  const down = (event: PointerEvent): void => {
    if ((event.target as Element).closest('.box') !== null) return
    held = { x: event.clientX, y: event.clientY }
    frame.setPointerCapture(event.pointerId)
  }
  const move = (event: PointerEvent): void => {
    if (held === undefined) return
    const now = camera.current
    camera.current = { ...now, x: now.x + event.clientX - held.x, y: now.y + event.clientY - held.y }
    held = { x: event.clientX, y: event.clientY }
    look()
  }
  const up = (): void => {
    held = undefined
  }
  const wheel = (event: WheelEvent): void => {
    event.preventDefault()
    const box = frame.getBoundingClientRect()
    zoomBy(Math.exp(-event.deltaY / 500), event.clientX - box.left, event.clientY - box.top)
  }
  frame.addEventListener('pointerdown', down)
  frame.addEventListener('pointermove', move)
  frame.addEventListener('pointerup', up)
  frame.addEventListener('pointercancel', up)
  frame.addEventListener('wheel', wheel, { passive: false })
  return () => {
    frame.removeEventListener('pointerdown', down)
    frame.removeEventListener('pointermove', move)
    frame.removeEventListener('pointerup', up)
    frame.removeEventListener('pointercancel', up)
    frame.removeEventListener('wheel', wheel)
  }
}
