-- The standard set as a user would write it for Envoy's Lua filter: two pins, then a sticky split
-- on the cookie uid by a polynomial hash.
local function cookie(cookies, name)
  for key, value in string.gmatch(cookies, "([^=;%s]+)=([^;]*)") do
    if key == name then return value end
  end
end

local function choose(headers)
  if headers:get("x-user-group") == "beta" then return "reviews-v2" end
  local cookies = headers:get("cookie") or ""
  if cookie(cookies, "preview") then return "reviews-v3" end
  local uid = cookie(cookies, "uid")
  local point
  if uid and uid ~= "" then
    local hash = 7
    for i = 1, #uid do hash = (hash * 31 + string.byte(uid, i)) % 4294967296 end
    point = hash % 100
  else
    point = math.random(0, 99)
  end
  if point < 80 then return "reviews-v1" end
  if point < 95 then return "reviews-v2" end
  return "reviews-v3"
end

function envoy_on_request(handle)
  local headers = handle:headers()
  headers:replace("x-split-cluster", choose(headers))
  handle:clearRouteCache()
end
